"""A run directory is read back as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.config.comparison import labels
from nnlab.errors import UserError
from nnlab.storage.directories import find_runs
from nnlab.storage.folder import read_result
from nnlab.storage.saved_run import read_run
from nnlab.training import Run, Trainer

SMALL = ("data.limit=80", "architecture.widths=[8]", "trainer.epochs=3", "callbacks=[statistics]")


def trained(directory: Path, *overrides: str) -> Trainer:
    config = compose(*SMALL, *overrides)
    run = Run(directory, [0], config, ["seed=0"])
    run.create({})
    trainer = build_trainer([config], [run]).fit()
    run.flush()
    return trainer


def test_a_run_holds_what_the_trainer_recorded(tmp_path: Path) -> None:
    trainer = trained(tmp_path)
    run = read_run(tmp_path)
    history = trainer.history
    np.testing.assert_array_equal(run.steps, np.arange(1, trainer.step + 1))
    np.testing.assert_array_equal(run.losses, history.losses[:, 0])
    np.testing.assert_array_equal(run.curves.member_losses, history.losses)
    np.testing.assert_array_equal(run.curves.rates, history.rates[:, 0])
    assert run.steps_per_epoch == trainer.steps_per_epoch
    for name in ("loss", "accuracy"):
        steps, values = history.series(f"{name}/validation", 0)
        assert run.metrics[name].steps.tolist() == steps
        assert run.metrics[name].values.tolist() == values
    tag = "gradient_norm/linear1.weight"
    assert (run.curves.statistics[tag].steps.tolist(), run.curves.statistics[tag].values.tolist()) == history.series(
        tag, 0
    )
    assert list(run.layers("activation_std")) == ["activation1"]
    assert run.metrics["loss"].last == history.latest("loss/validation", 0)
    assert (run.result, run.overrides, run.name) == (None, ["seed=0"], tmp_path.name)


def test_an_ensembles_members_are_kept_apart(tmp_path: Path) -> None:
    trainer = trained(tmp_path, "regularizer=[ensemble]", "regularizer.ensemble.members=2")
    run = read_run(tmp_path)
    np.testing.assert_array_equal(run.curves.member_losses, trainer.history.losses)
    np.testing.assert_allclose(run.losses, trainer.history.losses.mean(1))
    of_members = [trainer.history.series("loss/validation", member)[1] for member in range(2)]
    np.testing.assert_allclose(run.metrics["loss"].values, np.mean(of_members, 0))
    assert of_members[0] != of_members[1]
    assert (
        run.curves.statistics["gradient_norm/all/1"].values.tolist()
        == trainer.history.series("gradient_norm/all", 1)[1]
    )


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    trainer = trained(tmp_path)
    for name in ("history.csv", "statistics.csv"):
        with open(tmp_path / name, "a") as file:
            file.write("9999,1.")
    assert len(read_run(tmp_path).steps) == trainer.step


def test_a_run_that_has_not_begun_is_empty(tmp_path: Path) -> None:
    run = Run(tmp_path, [0], compose(*SMALL))
    run.create({})
    found = read_run(tmp_path)
    assert len(found.steps) == 0
    assert found.steps_per_epoch is None


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("history.csv", "step,epoch\n1,2\n", "does not begin with the columns"),
        ("history.csv", "step,epoch,learning_rate,loss/train\n1,2,x,4\n2,2,3,4\n", "1 of 2 lines is left out"),
        ("history.csv", "step,epoch,learning_rate,loss/train\n1,0.5\n2,2,3,4\n", "1 of 2 lines is left out"),
        ("statistics.csv", "step,tag,value\n1,a\n", "1 of 1 line is left out"),
    ],
)
def test_damaged_lines_are_left_out_with_a_warning(
    tmp_path: Path, name: str, content: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    Run(tmp_path, [0], compose(*SMALL)).create({})
    (tmp_path / name).write_text(content)
    run = read_run(tmp_path)
    assert run.steps.tolist() == ([2] if "2,2,3,4" in content else [])
    [record] = caplog.records
    assert sentence in record.getMessage()


def test_a_damaged_config_is_refused_by_name(tmp_path: Path) -> None:
    Run(tmp_path, [0], compose(*SMALL)).create({})
    (tmp_path / "config.yaml").write_text("[")
    with pytest.raises(UserError, match=r"config\.yaml` is damaged"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"status": 3}', '{"metrics": {}}', '{"status": "completed", "metrics": {"test": {"loss": "x"}}}',
     '{"status": "completed", "steps": "many"}', '{"status": "completed", "diagnosis": [1]}'],
)  # fmt: skip
def test_a_result_of_the_wrong_shape_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(UserError, match=r"result\.json` is damaged"):
        read_result(tmp_path)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        read_run(tmp_path / "none")
    with pytest.raises(UserError, match="is no run directory"):
        read_run(tmp_path)
    with pytest.raises(UserError, match="there is no run at"):
        find_runs([tmp_path])


def test_a_study_stands_for_its_runs(tmp_path: Path) -> None:
    for name in ("b", "a"):
        Run(tmp_path / name, [0], {"seed": 0}).create({})
        (tmp_path / name / "history.csv").write_text("")
    assert find_runs([tmp_path, tmp_path / "a"]) == [tmp_path / "a", tmp_path / "b"]


ADAM = {"_target_": "nnlab.optimizer.Adam", "learning_rate": 0.001, "eps": 1e-8}
SGD = {"_target_": "nnlab.optimizer.Sgd", "learning_rate": 0.1}


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([{"seed": 0, "optimizer": SGD}, {"seed": 1, "optimizer": SGD}], ["", ""]),
        ([{"optimizer": SGD}, {"optimizer": ADAM}], ["optimizer=Sgd", "optimizer=Adam"]),
        (
            [{"optimizer": SGD}, {"optimizer": {**SGD, "learning_rate": 0.01}}, {"optimizer": ADAM}],
            [
                "optimizer=Sgd, learning_rate=0.1",
                "optimizer=Sgd, learning_rate=0.01",
                "optimizer=Adam, learning_rate=0.001",
            ],
        ),
        ([{"a": {"p": 1}, "b": {"p": 1}}, {"a": {"p": 2}, "b": {"p": 3}}], ["a.p=1, b.p=1", "a.p=2, b.p=3"]),
        ([{"output_dir": "x", "callbacks": {}}, {"output_dir": "y", "callbacks": {"a": 1}}], ["", ""]),
    ],
)
def test_labels_say_what_differs_and_no_more(configs: list[dict[str, object]], expected: list[str]) -> None:
    assert labels(configs) == expected
