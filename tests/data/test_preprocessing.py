"""Preprocessing against scikit-learn and against what each transform promises."""

import numpy as np
import pytest
import torch

from nnlab.data.preprocessing import (
    PCA,
    NoPreprocessing,
    PiecewiseLinear,
    Quantile,
    Robust,
    Standardize,
    Whiten,
)
from nnlab.errors import UserError


def vectors(n=200, d=7, seed=0):
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=draw, dtype=torch.float64)
    return torch.randn(n, d, generator=draw, dtype=torch.float64) @ mixing + 5


def images(n=50, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, 4, 5, generator=draw, dtype=torch.float64) * torch.tensor([1.0, 3.0, 9.0])[:, None, None]


def covariance(rows):
    centred = rows - rows.mean(0)
    return centred.T @ centred / len(rows)


def test_none_changes_nothing():
    assert torch.equal(NoPreprocessing().fit(vectors()).apply(images()), images())


def test_standardize_matches_scikit_learn_on_new_data():
    from sklearn.preprocessing import StandardScaler

    ours = Standardize().fit(vectors()).apply(vectors(seed=1))
    theirs = StandardScaler().fit(vectors().numpy()).transform(vectors(seed=1).numpy())
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-10, atol=1e-12)


def test_standardize_gives_channels_of_images_zero_mean_and_unit_variance():
    result = Standardize().fit(images()).apply(images())
    assert torch.allclose(result.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(result.std((0, 2, 3), correction=0), torch.ones(3, dtype=torch.float64))
    assert not torch.allclose(result.mean(0), torch.zeros(3, 4, 5, dtype=torch.float64), atol=1e-3)


def test_standardize_per_feature_treats_each_pixel_on_its_own():
    result = Standardize(per="feature").fit(images()).apply(images())
    assert torch.allclose(result.mean(0), torch.zeros(3, 4, 5, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(result.std(0, correction=0), torch.ones(3, 4, 5, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_feature_is_centred_and_not_divided(dtype):
    inputs = vectors().to(dtype)
    inputs[:, 2] = 0.1
    transform = Standardize().fit(inputs)
    assert transform.apply(inputs)[:, 2].abs().max() < 1e-6
    assert transform.apply(inputs + 1)[:, 2] == pytest.approx(1.0, rel=1e-5)


def test_standardize_keeps_precision_far_from_zero():
    inputs = 1.7e9 + vectors()
    result = Standardize().fit(inputs).apply(inputs)
    assert torch.allclose(result, Standardize().fit(vectors()).apply(vectors()), atol=1e-6)


def test_standardize_in_many_chunks_equals_the_formula():
    inputs = vectors(n=2000).float()
    result = Standardize().fit(inputs).apply(inputs)
    expected = (inputs - inputs.mean(0)) / inputs.std(0, correction=0)
    assert torch.allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("components", [3, 0.9, None])
@pytest.mark.parametrize("n", [200, 5])
def test_pca_matches_scikit_learn_up_to_sign(components, n):
    from sklearn.decomposition import PCA as Reference

    ours = PCA(components).fit(vectors(n)).apply(vectors(seed=1))
    reference = Reference(components, svd_solver="full").fit(vectors(n).numpy())
    theirs = reference.transform(vectors(seed=1).numpy())
    # with n <= D, centring takes one dimension: the last axis has no variance and is arbitrary
    keep = theirs.shape[1] - (n == 5 and components is None)
    assert ours.shape == theirs.shape
    signs = np.sign((ours.numpy() * theirs).sum(0))
    np.testing.assert_allclose(ours.numpy()[:, :keep], (signs * theirs)[:, :keep], rtol=1e-8, atol=1e-8)


def test_pca_of_images_gives_vectors():
    assert PCA(4).fit(images()).apply(images()).shape == (50, 4)


@pytest.mark.parametrize("method", ["pca", "zca"])
def test_whitened_inputs_have_identity_covariance(method):
    result = Whiten(method, eps=0.0).fit(vectors()).apply(vectors())
    assert torch.allclose(covariance(result), torch.eye(7, dtype=torch.float64), atol=1e-9)
    assert result.mean(0).abs().max() < 1e-10


def test_zca_is_the_symmetric_whitening_and_keeps_the_shape_of_images():
    transform = Whiten("zca", eps=0.0).fit(vectors())
    assert torch.allclose(transform.matrix, transform.matrix.T)
    assert (torch.linalg.eigvalsh(transform.matrix) > 0).all()
    assert Whiten("zca").fit(images()).apply(images()).shape == images().shape


@pytest.mark.parametrize("method", ["pca", "zca"])
def test_whitening_survives_features_without_variance(method):
    inputs = torch.cat([vectors(), torch.ones(200, 1, dtype=torch.float64)], 1)
    result = Whiten(method, eps=0.0).fit(inputs).apply(inputs)
    assert torch.isfinite(result).all()
    assert torch.linalg.matrix_rank(covariance(result)) == 7
    assert result.abs().max() < 10


def test_whitening_with_fewer_components_keeps_the_leading_ones():
    leading = Whiten("pca", components=2, eps=0.0).fit(vectors()).apply(vectors())
    everything = Whiten("pca", eps=0.0).fit(vectors()).apply(vectors())
    assert torch.allclose(leading, everything[:, :2])


def test_transforms_keep_the_dtype():
    for preprocessing in (NoPreprocessing(), Standardize(), PCA(2), Whiten()):
        assert preprocessing.fit(vectors().float()).apply(vectors().float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Standardize("features"), "`per` has no option 'features'; did you mean `feature`?"),
        (lambda: Standardize("channel").fit(vectors()), "needs images (K, H, W), but the inputs are vectors"),
        (lambda: PCA(0), "`components` must be in [1, inf), got 0"),
        (lambda: PCA(1.5), "`components` must be in (0, 1), got 1.5"),
        (
            lambda: PCA(8).fit(vectors()),
            "`components` must be at most 7, the smaller of examples (200) and features (7)",
        ),
        (lambda: Whiten("cca"), "`method` has no option 'cca'"),
        (lambda: Whiten(eps=-1.0), "`eps` must be in [0, inf), got -1.0"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(UserError) as error:
        call()
    assert message in str(error.value)


def test_robust_scaling_computes_its_formula_with_scikit_learns_quartiles():
    from sklearn.preprocessing import RobustScaler

    inputs, new = vectors(), vectors(seed=1)
    z = RobustScaler().fit(inputs.numpy()).transform(new.numpy())
    np.testing.assert_allclose(Robust(clip=0).fit(inputs).apply(new).numpy(), z, rtol=1e-10, atol=1e-12)
    clipped = z / np.sqrt(1 + (z / 3) ** 2)
    np.testing.assert_allclose(Robust().fit(inputs).apply(new).numpy(), clipped, rtol=1e-10, atol=1e-12)


def test_robust_scaling_bounds_outliers_and_rare_truth_values():
    inputs = vectors()
    inputs[0, 0], inputs[:, 1], inputs[:, 2] = 1e30, 7.0, 0.0
    inputs[:10, 2] = 1.0  # quartiles are equal: half of the range takes their place
    result = Robust().fit(inputs).apply(inputs)
    assert result.isfinite().all()
    assert result.abs().max() <= 3
    assert (result[:, 1] == 0).all()
    assert result[:, 2].unique().tolist() == pytest.approx([0.0, 2 / (1 + 4 / 9) ** 0.5])


def test_quantiles_map_to_a_normal_distribution_as_scikit_learns_inside_of_the_data():
    from sklearn.preprocessing import QuantileTransformer

    inputs, new = vectors(1000).exp(), vectors(300, seed=1).exp()
    ours = Quantile().fit(inputs).apply(new).numpy()
    theirs = QuantileTransformer(n_quantiles=1000, output_distribution="normal").fit(inputs.numpy())
    expected = theirs.transform(new.numpy())
    inside = np.abs(expected) < 2.5
    assert inside.mean() > 0.95
    np.testing.assert_allclose(ours[inside], expected[inside], atol=0.02)
    bound = torch.special.ndtri(torch.tensor(1 - 0.5 / 1000, dtype=torch.float64)).item()
    assert np.abs(ours).max() <= bound + 1e-12


def test_quantiles_do_not_depend_on_units_and_keep_the_order():
    inputs = vectors()
    plain, cubed = Quantile().fit(inputs).apply(inputs), Quantile().fit(inputs**3).apply(inputs**3)
    torch.testing.assert_close(plain, cubed)
    assert torch.equal(plain[:, 0].argsort(), inputs[:, 0].argsort())


def test_quantiles_of_truth_values_and_constants_stay_moderate():
    inputs = torch.zeros(1000, 2, dtype=torch.float64)
    inputs[:100, 0] = 1
    result = Quantile().fit(inputs).apply(torch.tensor([[0.0, 0.0], [1.0, 5.0], [9.0, -5.0]]).double())
    ndtri = torch.special.ndtri(torch.tensor([0.45, 0.95, 0.95], dtype=torch.float64))
    torch.testing.assert_close(result[:, 0], ndtri, rtol=0, atol=5e-3)
    assert (result[:, 1] == 0).all()


def test_piecewise_linear_encoding_computes_its_formula():
    inputs, new = vectors(d=2), vectors(d=2, seed=1)
    result = PiecewiseLinear(bins=4).fit(inputs).apply(new)
    assert result.shape == (200, 8)
    for feature in range(2):
        edges = np.quantile(inputs[:, feature].numpy(), [0, 0.25, 0.5, 0.75, 1])
        fill = (new[:, feature, None].numpy() - edges[:-1]) / np.diff(edges)
        low, high = np.array([-np.inf, 0, 0, 0]), np.array([1, 1, 1, np.inf])
        np.testing.assert_allclose(result[:, 4 * feature : 4 * feature + 4].numpy(), np.clip(fill, low, high))


def test_piecewise_linear_encoding_merges_equal_quantiles():
    inputs = torch.zeros(100, 3, dtype=torch.float64)
    inputs[:10, 0] = 1
    inputs[:, 2] = torch.arange(100) % 3
    result = PiecewiseLinear(bins=8).fit(inputs).apply(inputs)
    assert result.shape == (100, 1 + 1 + 2)
    torch.testing.assert_close(result[:, 0], inputs[:, 0])
    assert (result[:, 1] == 0).all()


@pytest.mark.parametrize("option", [Robust(), Quantile(), PiecewiseLinear()], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_row_is_transformed_as_if_it_were_alone_and_stored_exactly(option, dtype):
    from nnlab.data.preprocessing.base import transform_from_arrays

    inputs, new = images(seed=0).to(dtype), images(seed=1).to(dtype)
    transform = option.fit(inputs)
    together = transform.apply(new)
    assert together.dtype == dtype
    assert torch.equal(together[7:8], transform.apply(new[7:8]))
    again = transform_from_arrays(transform.to_json(), transform.tensors())
    assert torch.equal(again.apply(new), together)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Robust(clip=-1), "clip"),
        (lambda: Quantile(quantiles=1), "quantiles"),
        (lambda: PiecewiseLinear(bins=0), "bins"),
    ],
)
def test_options_out_of_range_are_named(make, key):
    with pytest.raises(UserError, match=key):
        make()
