"""`nnlab plot` draws the figures of real runs, and the loss surface is the loss."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from nnlab.cli import compose, main
from nnlab.commands.plot import NAMES
from nnlab.errors import UserError
from nnlab.runs.launch import train
from nnlab.runs.plotting import several, single
from nnlab.runs.surface import loss_surface, trajectory
from nnlab.storage.saved_run import read_run

SMALL = ("data.limit=80", "architecture.widths=[8,8]", "trainer.epochs=3", "trainer.device=cpu")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plot")
    for seed in (0, 1):
        train(compose(*SMALL, f"output_dir={folder}", f"seed={seed}"))
    return folder / "train"


def test_one_run_has_its_figures_in_its_folder(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = sorted(study.iterdir())[0]
    assert main(["plot", str(run), "--surface"]) == 0
    names = {path.name for path in (run / "figures").iterdir()}
    expected = "loss train_validation learning_rate gradient_flow activations calibration confusion_matrix loss_surface"
    assert names >= {f"{name}.{suffix}" for name in expected.split() for suffix in ("png", "svg")}
    assert sorted(Path(line).name for line in capsys.readouterr().out.splitlines()) == sorted(names)


def test_the_help_names_every_figure(study: Path) -> None:
    run = read_run(sorted(study.iterdir())[0])
    named = set(re.findall(r"\w+", NAMES))
    assert single(run).keys() | several([run]).keys() | {"loss_surface"} <= named


def test_several_runs_are_overlaid(study: Path, tmp_path: Path) -> None:
    assert main(["plot", str(study), "--out", str(tmp_path)]) == 0
    svg = (tmp_path / "validation_loss.svg").read_text()
    assert "2 seeds" in svg
    assert {path.stem for path in tmp_path.iterdir()} == {
        "loss",
        "validation_loss",
        "validation_accuracy",
        "learning_rate",
    }


def test_what_a_study_has_besides_its_runs_is_left_out_of_several_paths(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "st"
    folder.mkdir()
    for run in study.iterdir():
        (folder / run.name).symlink_to(run, target_is_directory=True)
    for name in ("mean/seed", "figures"):
        (folder / name).mkdir(parents=True)
    (folder / "study.html").write_text("")
    paths = [str(path) for path in sorted(folder.iterdir())]
    assert main(["plot", *paths, "--out", str(tmp_path / "out"), "--only", "loss"]) == 0
    assert "2 seeds" in (tmp_path / "out" / "loss.svg").read_text()
    capsys.readouterr()
    assert main(["plot", str(folder / "mean"), str(folder / "figures")]) == 2
    assert "there is no run among" in capsys.readouterr().err
    (tmp_path / "mean").mkdir()
    assert main(["plot", *paths, str(tmp_path / "mean")]) == 2  # beside no run
    assert "there is no run at" in capsys.readouterr().err


def test_the_layers_of_an_ensemble_are_those_of_its_first_member(tmp_path: Path) -> None:
    ensemble = ("regularizer=[ensemble]", "regularizer.ensemble.members=2")
    run = read_run(train(compose(*SMALL, *ensemble, f"output_dir={tmp_path}")).directory)
    flow = single(run)["gradient_flow"]()
    assert flow is not None
    assert [tick.get_text() for tick in flow.axes[1].get_xticklabels()] == [
        "linear1.weight",
        "linear2.weight",
        "output.weight",
    ]
    assert "first member" in flow.axes[0].get_title(loc="left")


def test_a_regression_run_is_drawn_without_what_it_lacks(tmp_path: Path) -> None:
    result = train(
        compose(*SMALL, "data=diabetes", "loss=squared_error", f"output_dir={tmp_path}", "callbacks=[checkpoint]")
    )
    assert main(["plot", str(result.directory)]) == 0
    names = {path.stem for path in (result.directory / "figures").iterdir()}
    assert names == {"loss", "train_validation", "learning_rate", "activations"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "there is no run at `nowhere`"),
        (["{run}", "--only", "calibratoin"], "did you mean `calibration`?"),
        (["{run}", "--colour"], "unrecognized arguments: --colour; `nnlab plot --help`"),
        ([], "the following arguments are required: RUN"),
    ],
)
def test_mistakes_are_one_sentence(
    study: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    run = str(sorted(study.iterdir())[0])
    assert main(["plot", *(run if word == "{run}" else word for word in arguments)]) == 2
    assert sentence in capsys.readouterr().err


def test_the_surface_at_the_end_of_the_path_is_the_loss_there() -> None:
    config = compose(*SMALL, "trainer.precision=float64", "callbacks=[]")
    found = loss_surface([config], points=21)
    _, trainer = trajectory(config)
    split = trainer.members[0].dataset.train
    outputs = trainer.stack.outputs(split.inputs.unsqueeze(0))
    end = float(trainer.loss.losses(outputs, split.targets.unsqueeze(0)).mean())
    column, row = (found.x - found.paths[0][-1, 0]).abs().argmin(), (found.y - found.paths[0][-1, 1]).abs().argmin()
    near = found.losses[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
    assert float(near.min()) <= end <= float(near.max())
    assert 0.5 < found.explained <= 1 + 1e-9
    torch.testing.assert_close(found.paths[0][-1], torch.zeros(2, dtype=torch.float64))


def test_two_parameters_are_their_own_plane(tmp_path: Path) -> None:
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)
    file = tmp_path / "line.csv"
    file.write_text("x,y\n" + "".join(f"{v},{2 * v + 1}\n" for v in x.tolist()))
    overrides = ("data=arrays", f"data.path={file}", "architecture=perceptron", "loss=squared_error", "optimizer=sgd")
    overrides += (
        "trainer.precision=float64",
        "trainer.batch_size=full",
        "trainer.epochs=20",
        "optimizer.learning_rate=0.1",
        "callbacks=[]",
    )
    found = loss_surface([compose(*overrides)], points=9)
    _, trainer = trajectory(compose(*overrides))
    split = trainer.members[0].dataset.train
    assert [label.rpartition(".")[2] for label in found.labels] == ["weight", "bias"]
    assert found.explained == pytest.approx(1)
    for row in (0, 4, 8):
        for column in (0, 3, 8):
            expected = 0.5 * (split.inputs * found.x[column] + found.y[row] - split.targets).square().mean()
            torch.testing.assert_close(found.losses[row, column], expected)
    torch.testing.assert_close(found.paths[0][-1], trainer.stack.theta[0])


def test_a_random_plane_keeps_the_end() -> None:
    found = loss_surface([compose(*SMALL, "callbacks=[]")], "random", points=5)
    torch.testing.assert_close(found.paths[0][-1], torch.zeros(2))
    assert found.labels[0] == "first random direction"
    assert 0 < found.explained < 0.5
    assert -float(found.x[0]) > 10 * float(
        found.paths[0].abs().max()
    )  # the path alone would show no change of the loss
    assert found.losses.max() > 1.1 * found.losses.min()


def test_runs_of_different_networks_share_no_surface() -> None:
    configs = [compose(*SMALL, "callbacks=[]"), compose(*SMALL, "callbacks=[]", "architecture.widths=[4]")]
    with pytest.raises(UserError, match="must have the same network"):
        loss_surface(configs, points=3)
