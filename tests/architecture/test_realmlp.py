"""RealMLP piece by piece against its formulas, and its whole against the source's defaults."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nnlab.activation import SELU
from nnlab.architecture import RealMLP
from nnlab.architecture.embeddings import CategoryEmbedding, PeriodicEmbedding
from nnlab.architecture.ntk import Mixed, NTKLinear, Scale
from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.initialization import DataDependent, He, Initialization, PyTorch
from nnlab.randomness import generator

COLUMNS = [("number", 1), ("category", 12), ("truth", 1), ("category", 3), ("number", 1)]
INPUTS = sum(size for _, size in COLUMNS)


def head(features: int) -> nn.Module:
    return nn.Linear(features, 2)


def network(**settings: object) -> RealMLP:
    return RealMLP((INPUTS,), head, SELU, columns=COLUMNS, widths=[16, 8], **settings)  # type: ignore[arg-type]


def rows(count: int = 50) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(count, INPUTS, generator=draw)


def test_tangent_layers_compute_their_formula() -> None:
    layer, x = NTKLinear(9, 4), torch.randn(5, 9)
    torch.testing.assert_close(layer(x), x @ layer.weight.T / 3 + 0.1 * layer.bias)


def test_scale_and_mixed_activation_start_as_the_identity_and_the_activation() -> None:
    x = torch.randn(7, 5)
    torch.testing.assert_close(Scale(5)(x), x)
    torch.testing.assert_close(Mixed(SELU(), 5)(x), SELU()(x))


def test_mixed_activation_interpolates_between_its_input_and_the_activation() -> None:
    layer, x = Mixed(SELU(), 5), torch.randn(7, 5)
    with torch.no_grad():
        layer.share.copy_(torch.tensor([0.0, 2.5, 5.0, 7.5, 10.0]))
    share = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    torch.testing.assert_close(layer(x), (1 - share) * x + share * SELU()(x))


def test_periodic_embedding_computes_its_formula() -> None:
    layer, x = PeriodicEmbedding(3, frequencies=6, outputs=4), torch.randn(5, 3)
    w, b, v, c = (0.1 * each for each in (layer.frequency, layer.phase, layer.weight, layer.bias))
    waves = [torch.cos(2 * math.pi * x[:, i, None] * w[i] + b[i]) @ v[i] + c[i] for i in range(3)]
    torch.testing.assert_close(layer(x), torch.cat([*waves, x], 1))


def test_periodic_embedding_starts_with_the_frequencies_and_phases_of_the_source() -> None:
    torch.manual_seed(0)
    layer = PeriodicEmbedding(500, sigma=0.3)
    assert (0.1 * layer.frequency).std().item() == pytest.approx(0.3, rel=0.03)
    assert (0.1 * layer.phase).abs().max().item() == pytest.approx(math.pi, rel=0.01)
    assert (0.1 * layer.weight).abs().max().item() == pytest.approx(0.25, rel=0.01)


def test_category_embedding_gives_the_row_of_the_level() -> None:
    layer = CategoryEmbedding(5, 3)
    torch.testing.assert_close(layer(torch.eye(5)), layer.weight)


def test_numbers_are_embedded_large_categories_become_vectors_and_the_rest_stays() -> None:
    built, x = network(), rows()
    embedding = built.embedding
    y = embedding(x)
    assert embedding.features == 2 * 4 + 1 + 3 + 8 == y.shape[1]
    torch.testing.assert_close(y[:, 6:8], x[:, [0, 17]])  # the numbers themselves
    torch.testing.assert_close(y[:, 8:12], x[:, 13:17])  # truth value and small category
    torch.testing.assert_close(y[:, 12:], x[:, 1:13] @ embedding.tables["0"].weight)
    moved = x.clone()
    moved[:, 0] += 1
    changed = (embedding(moved) != y).any(0).nonzero().flatten().tolist()
    assert set(changed) <= {0, 1, 2, 6}


def test_without_knowledge_of_columns_every_input_is_a_number() -> None:
    assert RealMLP((3, 4), head, SELU, widths=[8]).embedding.features == 48
    assert RealMLP((3, 4), head, SELU, widths=[8], frequencies=0).embedding.features == 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": [0]}, "widths"),
        ({"frequencies": -1}, "frequencies"),
        ({"sigma": 0}, "sigma"),
        ({"vector": 0}, "vec"),
    ],
)
def test_values_out_of_range_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RealMLP((4,), head, SELU, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("initialization", [He(), PyTorch(), He(scale=0.5, bias=0.3)])
def test_tangent_layers_start_as_plain_layers_would(initialization: Initialization) -> None:
    plain, tangent = (
        nn.Sequential(nn.Linear(9, 20), nn.Linear(20, 3)),
        nn.Sequential(NTKLinear(9, 20), NTKLinear(20, 3)),
    )
    for each in (plain, tangent):
        initialization(each, 1.4, generator(3))
    x = torch.randn(5, 9)
    torch.testing.assert_close(plain(x), tangent(x))


def test_data_dependent_units_have_unit_variance_and_their_zero_among_the_examples() -> None:
    built, x = network(), rows(3000)
    DataDependent()(built, 1.0, generator(1), x)
    signal = x
    for name, layer in built.named_children():
        signal = layer(signal)
        if isinstance(layer, NTKLinear):
            torch.testing.assert_close(
                signal.std(0, correction=0), torch.ones(layer.out_features), rtol=1e-3, atol=1e-3
            )
            assert (signal.amin(0) < 0).all(), name
            assert (signal.amax(0) > 0).all(), name
            assert signal.mean(0).abs().max() > 0.05  # not simply centered


def test_data_dependent_initialization_of_images_and_of_constant_inputs_is_finite() -> None:
    images = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    x = torch.rand(20, 1, 8, 8)
    DataDependent()(images, 1.0, generator(0), x)
    torch.testing.assert_close(images[0](x).transpose(0, 1).flatten(1).std(1, correction=0), torch.ones(4))
    flat = nn.Sequential(nn.Linear(3, 4))
    DataDependent()(flat, 1.0, generator(0), torch.zeros(10, 3))
    assert flat[0].weight.isfinite().all()
    assert (flat[0].bias == 0).all()


def test_without_inputs_data_dependent_initialization_is_he_with_gain_one() -> None:
    with_data, without = nn.Sequential(nn.Linear(4, 3)), nn.Sequential(nn.Linear(4, 3))
    DataDependent()(without, 2.0, generator(0))
    DataDependent(points=0)(with_data, 2.0, generator(0), torch.randn(1, 4))
    torch.testing.assert_close(with_data[0].weight, without[0].weight)
    torch.manual_seed(0)
    big = nn.Sequential(nn.Linear(400, 300))
    DataDependent()(big, 2.0, generator(0))
    assert big[0].weight.std().item() == pytest.approx(1 / 20, rel=0.02)


def table(folder: Path) -> Path:
    draw = torch.Generator().manual_seed(0)
    lines = ["number,kind,flag,target"]
    for _ in range(120):
        number = torch.randn((), generator=draw).item()
        kind = "abcdefghijkl"[int(torch.randint(12, (), generator=draw))]
        flag = "yes" if torch.rand((), generator=draw) < 0.5 else "no"
        lines.append(f"{number},{kind},{flag},{number * (1 if flag == 'yes' else -1) + ord(kind) / 10}")
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_columns_of_a_table_decide_what_is_embedded(tmp_path: Path) -> None:
    lines = [f"data.path={table(tmp_path)}", "data=table", "data.target=target", "callbacks=[]", "trainer.epochs=2"]
    trainer = build_trainer([compose(*lines, "experiment=realmlp_regression")], overrides=[])
    assert trainer.members[0].dataset.input_columns == (("number", 1), ("category", 12), ("truth", 1))
    embedding = trainer.stack.network.embedding
    assert embedding.numbers.tolist() == [0]
    assert embedding.others.tolist() == [13]
    assert embedding.places == [(1, 13)]
    mixed = build_trainer([compose(*lines, "experiment=realmlp_regression", "data/preprocessing=whiten")], overrides=[])
    assert mixed.members[0].dataset.input_columns == ()


def test_the_experiments_hold_the_defaults_of_the_source(tmp_path: Path) -> None:
    lines = [f"data.path={table(tmp_path)}", "data=table", "data.target=target"]
    classes, numbers = (compose(*lines, f"experiment={name}") for name in ("realmlp", "realmlp_regression"))
    for config in (classes, numbers):
        assert config["trainer"]["epochs"] == config["trainer"]["batch_size"] == 256
        assert config["architecture"]["widths"] == [256, 256, 256]
        assert config["optimizer"]["betas"] == [0.9, 0.95]
        assert config["regularizer"]["dropout"]["p"] == 0.15
        assert config["scheduler"]["cycles"] == 4
    assert (classes["optimizer"]["learning_rate"], numbers["optimizer"]["learning_rate"]) == (0.04, 0.2)
    assert classes["loss"]["label_smoothing"] == 0.1
    assert numbers["loss"]["clamp"]


def test_a_clamped_output_ends_where_the_training_targets_do() -> None:
    config = compose("data=diabetes", "loss=squared_error", "loss.clamp=true", "callbacks=[]", "trainer.epochs=1")
    trainer = build_trainer([config])
    targets = trainer.members[0].dataset.train.targets
    far = 1000 * torch.randn(1, 40, 10)
    outputs = trainer.stack.outputs(far)
    assert outputs.min().item() == pytest.approx(targets.min().item())
    assert outputs.max().item() == pytest.approx(targets.max().item())
    network = copy.deepcopy(trainer.stack.network).train()
    assert network(far[0]).abs().max() > 10  # in training every error counts
