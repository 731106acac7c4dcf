"""Every claim of the lecture holds in its quick variant, and every experiment is complete."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnlab.cli import main
from nnlab.commands import experiment

pytestmark = pytest.mark.slow


FOLDERS = experiment.experiments()


@pytest.mark.parametrize("name", FOLDERS)
def test_the_claims_hold_in_the_quick_variant(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where no rows are kept from before
    evidence = experiment.run(FOLDERS[name], "quick")
    failed = [sentence for sentence, holds in evidence.claims.items() if not holds]
    assert evidence.claims
    assert not failed, f"{name}: {failed}\n{evidence.results}"
    assert evidence.figure.axes, "nothing was drawn"


@pytest.mark.parametrize("name", FOLDERS)
def test_every_experiment_is_complete(name: str) -> None:
    folder = FOLDERS[name]
    for file in ("README.md", "run.py", "results.json", "figure.png"):
        assert (folder / file).is_file(), f"{folder.name} has no {file}"
    assert len((folder / "run.py").read_text().splitlines()) < 100
    readme = (folder / "README.md").read_text()
    for word in ("**Claim.**", "**Source.**", "**Prediction.**", f"nnlab experiment {name}", "Verdict: "):
        assert word in readme, f"{folder.name}/README.md lacks {word!r}"
    recorded = json.loads((folder / "results.json").read_text())
    assert recorded["command"] in (f"nnlab experiment {name}", f"nnlab experiment {name} --full")
    assert f"Verdict: **{recorded['verdict']}**" in readme, "README and results.json disagree"


def test_results_are_written_with_the_machine_and_the_readme_follows(tmp_path: Path) -> None:
    from experiments.reporting import Evidence, panels, save

    (tmp_path / "README.md").write_text("before\n<!-- measured -->\nold\n<!-- end -->\nafter\n")
    figure, _ = panels()
    claims = {"one": True, "two": False}
    sizes = {"seeds": 4, "net": {"widths": [8]}}
    save(Evidence({"x": 1.5}, claims, [["a", "b"], [1, 2]], figure), tmp_path, "some", "quick", 3.0, sizes)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["results"] == {"x": 1.5}
    assert written["verdict"] == "partly reproduced"
    assert written["command"] == "nnlab experiment some --quick"
    assert written["environment"]["hardware"]
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith("before\n")
    assert readme.endswith("after\n")
    assert "old" not in readme
    assert "| 1 | 2 |" in readme
    assert "**no**: two" in readme
    assert "Sizes: seeds 4; net (widths [8])." in " ".join(readme.split())
    assert written["sizes"] == sizes


def test_the_spread_leaves_out_networks_that_diverged() -> None:
    from experiments.reporting import spread

    assert spread([1.0, 3.0, math.nan]) == {"mean": 2.0, "std": pytest.approx(math.sqrt(2)), "min": 1, "max": 3, "n": 2}


def test_a_running_mean_forgets_a_loss_that_exploded() -> None:
    from experiments.reporting import smoothed

    assert smoothed([[4.0, 2.0, 1e30, 1.0, 3.0, 5.0]], 2)[0] == pytest.approx([4, 3, 5e29, 5e29, 2, 4])


def test_a_variant_of_a_grid_equals_the_network_trained_alone() -> None:
    from experiments.running import train

    overrides = ["data=moons", "data.examples=100", "loss=binary_cross_entropy", "architecture.widths=[4]"]
    overrides += ["trainer.epochs=null", "trainer.steps=20", "trainer.precision=float64"]
    both = train(*overrides, vary={"optimizer.learning_rate": [0.01, 0.1]}, seeds=[3, 4])
    alone = train(*overrides, "optimizer.learning_rate=0.1", seeds=[4])
    assert both.losses.shape == (2, 2, 20)
    assert both.losses[1, 1] == pytest.approx(alone.losses[0, 0], rel=1e-9)
    assert both.last("test", "loss")[1, 1] == pytest.approx(alone.last("test", "loss")[0, 0], rel=1e-9)


def test_a_network_ends_once_its_validation_is_as_accurate_as_asked_for() -> None:
    from experiments.running import Until, train

    overrides = ["data=digits", "trainer.epochs=20", "trainer.validate_every=1"]
    accuracy = train(*overrides, seeds=[0, 1], callbacks=[Until(0.9)]).curve("accuracy/validation")[1][0]
    for member in accuracy:
        known = member[~np.isnan(member)]
        assert known[-1] >= 0.9
        assert (known[:-1] < 0.9).all()
        assert len(known) < 20


def test_gaussian_draws_have_the_moments_of_masks() -> None:
    from experiments.running import train

    module = experiment.load(FOLDERS["dropconnect_nets"])
    module.MASKS = 400
    small = ["data=digits", "data.limit=200", "architecture.widths=[64]", "trainer.epochs=1", "loss=squared_error"]
    grid = train(*small, "regularizer=[dropconnect]", "activation=identity", seeds=[0, 1])
    inputs = grid.trainer.members[0].dataset.test.inputs[:20]
    drawn, masked = module.gaussian(grid, 1, inputs), grid.masked(1, inputs, 400)
    exact = grid.trainer.stack.member(1)(inputs).detach()
    error = drawn.std(0) / 400**0.5
    assert ((drawn.mean(0) - exact).abs() < 5 * error).all()
    assert float(drawn.std(0).mean()) == pytest.approx(float(masked.std(0).mean()), rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["xorr"], "did you mean `xor`?"),
        (["xor", "--quik"], "did you mean `--quick`?"),
        (["xor", "--recrod"], "did you mean `--record`?"),
    ],
)
def test_mistakes_are_answered_with_a_suggestion(arguments: list[str], sentence: str, capsys: Any) -> None:
    assert main(["experiment", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_without_a_checkout_the_command_says_where_experiments_are(tmp_path: Path) -> None:
    with pytest.raises(experiment.UserError, match="checkout"):
        experiment.experiments(tmp_path)


def test_the_list_names_every_experiment(capsys: Any) -> None:
    assert main(["experiment", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(FOLDERS)
    assert all(len(line.split()) > 3 for line in lines), "an experiment has no title"
