"""Preprocessing against scikit-learn and against what each transform promises."""

import numpy as np
import pytest
import torch

from nnlab.data.preprocessing import PCA, NoPreprocessing, Standardize, Whiten
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
