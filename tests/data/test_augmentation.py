"""Augmentations as pure functions of a key: the same alone and in a population, and identities at zero strength."""

import numpy as np
import pytest
import torch

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.data import augmentation as package
from nnlab.data.augmentation import Affine, Elastic, Flip, GaussianNoise, Shift, augment
from nnlab.data.augmentation.elastic import gaussian_matrix
from nnlab.data.augmentation.shift import move
from nnlab.errors import UserError
from nnlab.members import merge
from nnlab.randomness import uniform

# class: (a strong setting, a setting that changes nothing, numeric strength that may differ between members)
TABLE = {
    Shift: ({"pixels": 3}, {"pixels": 0}, "pixels"),
    Flip: ({"p": 0.5}, {"p": 0.0}, "p"),
    Affine: (
        {"degrees": 30.0, "scale": 0.2, "shear": 10.0, "translate": 0.2},
        {"degrees": 0.0, "scale": 0.0, "translate": 0.0},
        "degrees",
    ),
    Elastic: ({"alpha": 20.0, "sigma": 2.0}, {"alpha": 0.0}, "alpha"),
    GaussianNoise: ({"std": 0.5}, {"std": 0.0}, "std"),
}
EVERY = pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)


def batch(members=3, count=4, dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    return torch.randn(members, count, 2, 9, 7, generator=draw, dtype=dtype)


def keys(members=3):
    return torch.tensor([2**40 + 17, 5, 2**61 + 3])[:members]


def test_the_table_names_every_augmentation():
    classes = {value for value in vars(package).values() if isinstance(value, type)} - {package.Augmentation}
    assert classes == set(TABLE)


@EVERY
def test_zero_strength_changes_nothing(kind):
    assert torch.allclose(kind(**TABLE[kind][1])(batch(), keys()), batch(), atol=1e-12)


@EVERY
def test_a_strong_setting_changes_images_and_keeps_shape_and_dtype(kind):
    for dtype in (torch.float32, torch.float64):
        result = kind(**TABLE[kind][0])(batch(dtype=dtype), keys())
        assert result.shape == batch().shape
        assert result.dtype == dtype
        assert not torch.allclose(result, batch(dtype=dtype), atol=1e-2)


@EVERY
def test_a_member_gets_what_it_would_get_alone(kind):
    together = kind(**TABLE[kind][0])(batch(), keys())
    for member in range(3):
        alone = kind(**TABLE[kind][0])(batch()[member : member + 1], keys()[member : member + 1])
        assert torch.allclose(together[member], alone[0], rtol=1e-12, atol=1e-12)


@EVERY
def test_members_may_differ_in_strength(kind):
    strong, none, name = TABLE[kind]
    weak = kind(**{**strong, name: none[name]})
    merged = merge([kind(**strong), weak, kind(**strong)], dtype=torch.float64)
    together = merged(batch(), keys())
    for member, single in enumerate([kind(**strong), weak, kind(**strong)]):
        alone = single(batch()[member : member + 1], keys()[member : member + 1])
        assert torch.allclose(together[member], alone[0], rtol=1e-12, atol=1e-12)


@EVERY
def test_the_key_decides(kind):
    make = kind(**TABLE[kind][0])
    assert torch.equal(make(batch(), keys()), make(batch(), keys()))
    assert not torch.equal(make(batch(), keys()), make(batch(), keys() + 1))


@EVERY
def test_examples_of_a_batch_differ(kind):
    same = batch()[:, :1].expand(-1, 8, -1, -1, -1)
    result = kind(**TABLE[kind][0])(same, keys())
    assert any(not torch.equal(result[0, 0], result[0, i]) for i in range(1, 8))


@pytest.mark.parametrize("fill", ["background", "edge", "zero"])
def test_shifting_equals_rolling_within_the_frame(fill):
    offsets = torch.tensor([[[2, -1], [0, 3], [-4, 0], [0, 0]]]).expand(3, -1, -1)
    moved = move(batch(), offsets, fill)
    for i, (down, right) in enumerate(offsets[0].tolist()):
        rolled = batch()[:, i].roll((down, right), (-2, -1))
        rows = slice(max(down, 0), 9 + min(down, 0))
        columns = slice(max(right, 0), 7 + min(right, 0))
        assert torch.equal(moved[:, i, :, rows, columns], rolled[:, :, rows, columns])


def test_what_a_shift_uncovers_is_filled_as_asked():
    offset = torch.tensor([[[1, 0]] * 4] * 3)
    low = batch().amin((-2, -1))
    assert torch.equal(move(batch(), offset, "background")[..., 0, :], low.unsqueeze(-1).expand(-1, -1, -1, 7))
    assert torch.equal(move(batch(), offset, "edge")[..., 0, :], batch()[..., 0, :])
    assert (move(batch(), offset, "zero")[..., 0, :] == 0).all()


def test_shifts_are_uniform_over_all_whole_offsets():
    image = torch.zeros(1, 4000, 1, 9, 9)
    image[..., 4, 4] = 1
    heat = Shift(2)(image, keys(1)).sum((0, 1, 2))
    assert heat[2:7, 2:7].sum() == 4000
    assert heat[2:7, 2:7].flatten().tolist() == pytest.approx([160] * 25, rel=0.3)


def test_flipping_twice_is_the_identity_and_once_a_mirror_image():
    flip = Flip(p=1.0)
    assert torch.equal(flip(batch(), keys()), batch().flip(-1))
    assert torch.equal(flip(flip(batch(), keys()), keys()), batch())


def test_half_of_the_images_are_flipped():
    image = torch.arange(3.0).expand(1, 4000, 1, 3, 3)
    flipped = Flip(0.5)(image, keys(1))[..., 0, 0] == 2
    assert flipped.double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_the_affine_map_is_the_documented_one():
    from scipy.ndimage import affine_transform

    affine = Affine(degrees=40.0, scale=0.3, shear=20.0, translate=0.2, fill="zero")
    result = affine(batch(), keys())
    draw = (2 * uniform(keys(), 4, 5, dtype=torch.float64) - 1).numpy()
    centre = np.array([(7 - 1) / 2, (9 - 1) / 2])  # (x, y)
    for m, n in np.ndindex(3, 4):
        angle, shear = np.deg2rad(40 * draw[m, n, 0]), np.deg2rad(20 * draw[m, n, 2])
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        forward = (1 + 0.3 * draw[m, n, 1]) * rotation @ np.array([[1, np.tan(shear)], [0, 1]])
        shift = np.array([7 * 0.2 * draw[m, n, 4], 9 * 0.2 * draw[m, n, 3]])
        inverse = np.linalg.inv(forward)[::-1, ::-1]  # scipy's axes are (y, x)
        offset = centre[::-1] - inverse @ (centre + shift)[::-1]
        for k in range(2):
            expected = affine_transform(batch()[m, n, k].numpy(), inverse, offset, order=1, mode="grid-constant")
            np.testing.assert_allclose(result[m, n, k].numpy(), expected, atol=1e-9)


def test_a_rotation_by_a_quarter_turns_the_image():
    affine = Affine(degrees=90.0, scale=0.0, translate=0.0)
    image = torch.randn(1, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    draw = float(2 * uniform(keys(1), 1, 5, dtype=torch.float64)[0, 0, 0] - 1)
    affine.degrees = 90.0 / abs(draw)
    turned = affine(image, keys(1))
    assert torch.allclose(turned, torch.rot90(image, -1 if draw > 0 else 1, (-2, -1)), atol=1e-6)


def test_displacements_of_elastic_have_the_documented_size():
    # a ramp in x shows the horizontal displacement as a difference of values
    ramp = torch.arange(64, dtype=torch.float64).expand(1, 50, 1, 64, 64)
    moved = Elastic(alpha=20.0, sigma=4.0, fill="edge")(ramp, keys(1))
    shift = (moved - ramp)[..., 16:48, 16:48]
    assert shift.std().item() == pytest.approx(0.163 * 20 / 4, rel=0.1)
    assert (shift[..., 1:] - shift[..., :-1]).std() < shift.std() / 3


def test_smoothing_is_a_convolution_with_a_normalised_gaussian():
    from scipy.ndimage import gaussian_filter

    noise = batch()[0, 0, 0]
    matrix = [gaussian_matrix(size, 1.5, noise) for size in noise.shape]
    expected = gaussian_filter(noise.numpy(), 1.5, mode="constant", truncate=12.0)
    assert torch.allclose(matrix[0] @ noise @ matrix[1], torch.from_numpy(expected), atol=1e-9)


def test_noise_has_the_given_standard_deviation_on_vectors_too():
    zeros = torch.zeros(2, 500, 40)
    noise = GaussianNoise(0.3)(zeros, keys(2))
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert abs(noise.mean().item()) < 0.01


def test_background_fill_never_brings_in_values_that_the_image_lacks():
    image = batch() + 5
    for kind in (Affine, Elastic):
        result = kind(**TABLE[kind][0])(image, keys())
        low, high = image.amin((-2, -1), keepdim=True), image.amax((-2, -1), keepdim=True)
        assert (result >= low - 1e-9).all()
        assert (result <= high + 1e-9).all()


def test_two_of_a_kind_in_a_row_draw_different_numbers():
    zeros = torch.zeros(1, 10, 5)
    twice = augment(zeros, [GaussianNoise(1.0), GaussianNoise(1.0)], keys(1))
    first = augment(zeros, [GaussianNoise(1.0)], keys(1))
    assert not torch.allclose(twice, 2 * first, atol=0.1)
    assert torch.equal(augment(zeros, [], keys(1)), zeros)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Shift(-1), "`pixels` must be in [0, inf), got -1"),
        (lambda: Shift(fill="edges"), "`fill` has no option 'edges'; did you mean `edge`?"),
        (lambda: Flip(1.5), "`p` must be in [0, 1], got 1.5"),
        (lambda: Affine(degrees=200.0), "`degrees` must be in [0, 180], got 200.0"),
        (lambda: Affine(scale=1.0), "`scale` must be in [0, 1), got 1.0"),
        (lambda: Affine(shear=90.0), "`shear` must be in [0, 80], got 90.0"),
        (lambda: Affine(translate=-0.1), "`translate` must be in [0, 1], got -0.1"),
        (lambda: Affine(fill="black"), "`fill` has no option 'black'"),
        (lambda: Elastic(alpha=-1.0), "`alpha` must be in [0, inf), got -1.0"),
        (lambda: Elastic(sigma=0.0), "`sigma` must be in (0, 32], got 0.0"),
        (lambda: Elastic(fill="black"), "`fill` has no option 'black'"),
        (lambda: GaussianNoise(-0.1), "`std` must be in [0, inf), got -0.1"),
        (lambda: Flip().check_shape((30,)), "Flip needs images (K, H, W), but the inputs have shape (30,)"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(UserError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.parametrize("preprocessing", ["whiten", "pca", "piecewise_linear"])
@pytest.mark.parametrize("option", ["shift", "flip", "affine", "elastic"])
def test_a_run_is_refused_whose_augmentation_gets_vectors_for_images(option, preprocessing):
    config = compose("data=digits", f"data/augmentation=[{option}]", f"data/preprocessing={preprocessing}")
    with pytest.raises(UserError, match=r"needs images .* choose a `data/preprocessing` that keeps images"):
        build_trainer([config])
