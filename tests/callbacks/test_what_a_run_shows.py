"""What TensorBoard reads from real runs: the same tags in every run, complete, without doubled steps."""

from __future__ import annotations

import collections
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util

import nnlab
from nnlab.callbacks.histograms import table
from nnlab.callbacks.precision_recall import precision_recall
from nnlab.callbacks.projector import classes, tensor_file
from nnlab.callbacks.tensorboard import FIRST_KEYS, EventFile, given_keys, hyper_parameters
from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.runs.launch import train
from nnlab.storage.folder import event_files
from nnlab.training import Callback, Run, Trainer

SMALL = ("data.limit=80", "architecture.widths=[8,8]", "trainer.epochs=4", "trainer.device=cpu")
TABLE = {
    "digits": [*SMALL],
    "moons": [*SMALL, "data=moons", "loss=binary_cross_entropy"],
    "regression": [*SMALL, "data=diabetes", "loss=squared_error"],
    "margin loss": [*SMALL, "data=breast_cancer", "loss=hinge"],
    "ensemble": [*SMALL, "regularizer=[ensemble]", "regularizer.ensemble.members=2"],
    "convnet": ["data.limit=80", "trainer.epochs=2", "architecture=convnet", "architecture.channels=[2,3]"],
}


def values(directory: Path) -> dict[str, list[tuple[int, Any]]]:
    """Steps and content of every tag, as TensorBoard loads them."""
    found = collections.defaultdict(list)
    for file in event_files(directory):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                found[value.tag].append((event.step, tensor_util.make_ndarray(value.tensor)))
    return dict(found)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of every kind."""
    folder = tmp_path_factory.mktemp("runs")
    configs = {
        name: compose(*overrides, f"output_dir={folder}", f"name=run{i}")
        for i, (name, overrides) in enumerate(TABLE.items())
    }
    return {name: train(config).directory for name, config in configs.items()}


@pytest.mark.parametrize("name", TABLE)
def test_losses_and_rates_are_those_of_the_history(runs: dict[str, Path], name: str) -> None:
    shown = values(runs[name])
    history = np.genfromtxt(runs[name] / "history.csv", delimiter=",", names=True, deletechars="")
    suffix, column = ("/member_0", "loss/train/0") if name == "ensemble" else ("", "loss/train")
    steps, losses = zip(*shown[f"loss/train{suffix}"], strict=True)
    assert list(steps) == history["step"].astype(int).tolist()
    np.testing.assert_allclose(np.array(losses, float), history[column], rtol=1e-6)
    rates = [float(value) for _, value in shown[f"learning_rate{suffix}"]]
    np.testing.assert_allclose(rates, history["learning_rate"], rtol=1e-6)
    validated = ~np.isnan(history["loss/validation"])
    assert [step for step, _ in shown[f"loss/validation{suffix}"]] == history["step"][validated].astype(int).tolist()


@pytest.mark.parametrize("name", TABLE)
def test_every_run_has_what_its_task_can_show(runs: dict[str, Path], name: str) -> None:
    shown = values(runs[name])
    pictures = {tag.removeprefix("images/") for tag in shown if tag.startswith("images/")}
    expected = {"filters"}
    if name != "regression":
        expected |= {"confusion_matrix"}
    if name in ("digits", "ensemble", "convnet"):
        expected |= {"batch", "predictions"}
    if name == "moons":
        expected |= {"decision_surface"}
    assert pictures == expected
    assert ("precision_recall/validation" in shown) == (name in ("moons", "margin loss"))
    kinds = {tag.split("/")[0] for tag in shown}
    assert {"weights", "gradients", "activations", "gradient_norm", "update_norm", "update_ratio"} <= kinds
    assert {"activation_std", "custom_scalars__config__", "_hparams_"} <= kinds
    assert (runs[name] / "projector_config.pbtxt").is_file()


@pytest.mark.parametrize("name", TABLE)
def test_no_tag_has_a_step_twice(runs: dict[str, Path], name: str) -> None:
    for tag, entries in values(runs[name]).items():
        steps = [step for step, _ in entries]
        assert steps == sorted(set(steps)), tag


def test_runs_of_one_kind_have_the_same_tags(runs: dict[str, Path], tmp_path: Path) -> None:
    other = train(compose(*SMALL, f"output_dir={tmp_path}", "seed=3", "optimizer=sgd", "optimizer.learning_rate=0.1"))
    assert values(other.directory).keys() == values(runs["digits"]).keys()


@pytest.mark.parametrize("name", TABLE)
def test_the_metrics_of_hparams_are_those_of_the_result(runs: dict[str, Path], name: str) -> None:
    shown = values(runs[name])
    metrics = json.loads((runs[name] / "result.json").read_text())["metrics"]
    for split, each in metrics.items():
        for metric in ("loss", "rmse" if name == "regression" else "accuracy"):
            [(_, value)] = shown[f"best/{metric}/{split}"]
            assert float(value) == pytest.approx(each[metric], rel=1e-6)


def test_the_decision_surface_is_shown_over_time(runs: dict[str, Path]) -> None:
    steps = [step for step, _ in values(runs["moons"])["images/decision_surface"]]
    assert len(steps) >= 3


def test_histograms_count_every_weight(runs: dict[str, Path]) -> None:
    shown = values(runs["digits"])
    steps = [step for step, _ in shown["weights/linear1.weight"]]
    assert steps[0] == 0
    for _, counts in shown["weights/linear1.weight"]:
        assert counts[:, 2].sum() == 64 * 8
        assert (counts[1:, 0] == counts[:-1, 1]).all()


def test_the_batch_is_the_one_that_the_network_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    from nnlab.callbacks import images

    def record(inputs: np.ndarray, labels: list[str]) -> np.ndarray:
        seen.append(inputs)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(images.pictures, "batch", record)
    config = compose(*SMALL, "data/augmentation=[shift]", "callbacks=[images]")
    trainer = build_trainer([config], [Run(tmp_path, [0], config)])
    first: list[torch.Tensor] = []

    class Watch(Callback):
        def after_backward(self, trainer: Trainer) -> None:
            first.append(trainer.inputs[0].clone())

    trainer.callbacks.append(Watch())
    trainer.fit()
    np.testing.assert_array_equal(seen[0], first[0][:24].double().numpy())


def test_a_run_killed_before_its_first_checkpoint_uses_its_event_file_again(tmp_path: Path) -> None:
    first = Run(tmp_path, [0])
    EventFile(first).scalars(1, {"loss": 1.0})
    first.close()
    second = Run(tmp_path, [0])
    EventFile(second).scalars(1, {"loss": 2.0})
    second.close()
    assert len(event_files(tmp_path)) == 1
    assert [(step, float(value)) for step, value in values(tmp_path)["loss"]] == [(1, 2.0)]


def test_hyper_parameters_are_components_by_name_with_their_values() -> None:
    config = compose("optimizer=momentum", "trainer.batch_size=16", "callbacks=[]")
    shown = hyper_parameters(config)
    assert given_keys(["trainer.batch_size=16", "+data/preprocessing=pca"]) == {
        "trainer.batch_size",
        "data.preprocessing",
    }
    assert shown["trainer.batch_size"] == 16
    assert shown["optimizer"] == "Momentum"
    assert shown["activation"] == "ReLU"
    assert shown["data.preprocessing"] == "Standardize"
    assert not {"name", "output_dir", "trainer.device"} & shown.keys()


@pytest.mark.parametrize(
    ("content", "bins"),
    [
        (torch.tensor([1.0, 2.0, 3.0, float("nan"), float("inf")]), 4),
        (torch.full((5,), 2.5), 4),
        (torch.zeros(3), 4),
        (torch.arange(6).bfloat16(), 3),
        (torch.full((4,), float("nan")), 2),
    ],
)
def test_a_histogram_holds_all_finite_values(content: torch.Tensor, bins: int) -> None:
    edges, counts = table(content, bins)
    assert counts.sum() == torch.isfinite(content).sum()
    assert (np.diff(edges) > 0).all()
    finite = content[torch.isfinite(content)].float()
    if len(finite):
        assert edges[0] <= finite.min()
        assert edges[-1] >= finite.max()


@pytest.mark.parametrize("scale", [1e-35, 1e-6, 1.0, 1e35])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_a_histogram_counts_as_numpy_does(scale: float, shift: float) -> None:
    values = (torch.randn(5000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + shift) * scale
    edges, counts = table(values.float(), 40)
    expected, expected_edges = np.histogram(values.float().numpy().astype(float), 40)
    np.testing.assert_allclose(edges, expected_edges, rtol=1e-6)
    assert counts.sum() == 5000
    assert np.abs(np.cumsum(counts) - np.cumsum(expected)).max() <= 2  # values on an edge, by rounding


def test_precision_and_recall_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import precision_score, recall_score

    draw = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 2, (200,), generator=draw)
    scores = (0.3 * targets + 0.7 * torch.rand(200, generator=draw)).clamp(0, 1)
    found = precision_recall(scores, targets, 21)
    for position, threshold in enumerate(torch.linspace(0, 1, 21)):
        predicted = (scores >= threshold).int()
        expected = precision_score(targets, predicted, zero_division=1.0), recall_score(targets, predicted)
        np.testing.assert_allclose(found[4:, position], expected, atol=1e-6)
        assert found[:4, position].sum() == 200


def test_vectors_that_would_read_as_text_become_a_table() -> None:
    name, content = tensor_file(np.zeros((2, 3), "<f4"))
    assert name.endswith(".tsv")
    assert content.decode() == "0\t0\t0\n0\t0\t0\n"
    array = np.random.default_rng(0).normal(size=(20, 8)).astype("<f4")
    name, content = tensor_file(array)
    assert name.endswith(".bytes")
    np.testing.assert_array_equal(np.frombuffer(content, "<f4").reshape(20, 8), array)


def test_class_names_cannot_break_the_table() -> None:
    text = classes(torch.tensor([0, 1]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]), ["a\tb\nc", "d"])
    assert text.splitlines() == ["class\tpredicted\tright or wrong", "a b c\ta b c\tright", "d\ta b c\twrong"]


def test_classes_that_are_numbers_are_words_to_the_projector() -> None:
    text = classes(torch.tensor([1]), torch.tensor([[1.0, 0.0]]), ["0", "1"])
    assert text.splitlines()[1] == "class 1\tclass 0\twrong"


def test_the_table_of_runs_begins_with_what_the_command_line_gave(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    def first(*overrides: str) -> set[str]:
        result = train(compose(*SMALL, f"output_dir={tmp_path}", *overrides), [f"output_dir={tmp_path}", *overrides])
        [file] = event_files(result.directory)
        summaries = [value for event in EventFileLoader(str(file)).Load() for value in event.summary.value]
        [content] = [value.metadata.plugin_data.content for value in summaries if value.tag == "_hparams_/experiment"]
        infos = plugin_data_pb2.HParamsPluginData.FromString(content).experiment.hparam_infos
        return {info.name for info in infos if info.differs}

    assert first("seed=5", "trainer.batch_size=16") == {"seed", "trainer.batch_size"}
    assert first() == FIRST_KEYS


class Broken(Callback):
    """Fails when training has ended."""

    def fit_end(self, trainer: Trainer) -> None:
        raise KeyError("nothing is here")


def test_neither_a_callback_nor_a_picture_that_fails_costs_a_finished_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot(*_: object) -> None:
        raise RuntimeError("no picture of such a network")

    def build(*arguments: Any) -> Trainer:
        trainer = build_trainer(*arguments)
        trainer.callbacks.insert(0, Broken())
        return trainer

    monkeypatch.setattr("nnlab.callbacks.pictures.filters", cannot)
    monkeypatch.setattr("nnlab.runs.launch.build_trainer", build)
    result = nnlab.train("data.limit=60", "architecture.widths=[4]", "trainer.epochs=5", f"output_dir={tmp_path}")
    assert result.status == "completed"
    assert (result.directory / "result.json").exists()
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == [
        "`callbacks.images` cannot show this network, and leaves that out: RuntimeError: no picture of such a network",
        "`Broken` failed after training had ended, and is left out: KeyError: 'nothing is here'",
    ]


def test_a_run_that_stops_early_at_a_validation_that_pictures_show_ends_well(tmp_path: Path) -> None:
    key = "regularizer.early_stopping"
    stop = ["regularizer=[early_stopping]", f"{key}.patience=3", f"{key}.minimum_change=100"]
    result = nnlab.train("data=digits", "trainer.epochs=9", *stop, f"output_dir={tmp_path}")
    assert (result.status, result.steps) == ("completed", 4 * 41)  # the fourth validation is one of those
