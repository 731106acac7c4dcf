"""The whole walk: what it leaves behind, where it stops, how it continues, and that its commands reproduce it."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from forked import SERVER

from nnlab.cli import compose, main
from nnlab.commands.recipe import main as recipe_command
from nnlab.config import identity
from nnlab.console import with_error
from nnlab.diagnosis.facts.simple import SimpleModel
from nnlab.errors import UserError
from nnlab.recipe import Recipe
from nnlab.recipe.best import write_experiment
from nnlab.recipe.finale import FinalTraining
from nnlab.recipe.rates import rate_key
from nnlab.recipe.run import RecipeResult, recipe
from nnlab.recipe.settings import RecipeSettings
from nnlab.recipe.trials import Trials
from nnlab.recipe.verdict import verdict, winner
from nnlab.report.recipe_drawing import Drawing
from nnlab.report.recipe_figures import figures
from nnlab.report.recipe_page import headline
from nnlab.runs.launch import train
from nnlab.storage.folder import read_config, read_result
from nnlab.training import Callback, Trainer

pytestmark = pytest.mark.slow


QUICK = [
    "data=blobs",
    "architecture.widths=[16]",
    "recipe.seeds=2",
    "recipe.final_seeds=2",
    "recipe.rounds=1",
    "recipe.coarse_epochs=1",
    "recipe.refine_epochs=3",
    "callbacks=[tensorboard,checkpoint]",
]


def run(folder: Path, *overrides: str) -> RecipeResult:
    words = [*overrides, f"output_dir={folder}"]
    return recipe(compose(*words, config_name="recipe"), words)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> RecipeResult:
    return run(tmp_path_factory.mktemp("recipe"), *QUICK)


def content(result: RecipeResult) -> Any:
    return json.loads((result.directory / "recipe.json").read_text())


def test_all_steps_pass_and_leave_a_report(done: RecipeResult) -> None:
    assert done.exit_code == 0
    assert [step["number"] for step in content(done)["steps"]] == [1, 2, 3, 4, 5, 6, 7, 8]
    page = (done.directory / "report.html").read_text()
    assert page.count("<svg") == 8
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    text = (done.directory / "report.md").read_text()
    for report in done.reports.values():
        assert report.conclusion in text
        for trial in report.trials:
            assert trial.command in text


def test_the_report_sets_what_was_chosen_next_to_what_was_given(done: RecipeResult) -> None:
    table = next(table for table in done.reports[8].tables if table.title.startswith("The configuration"))
    chosen = done.reports[7].numbers.best.changes
    rows = {key: (given, value) for key, given, value, _ in table.rows}
    assert rows["optimizer.learning_rate"] == (0.001, chosen["optimizer.learning_rate"])
    assert rows["trainer.epochs"][0] == 30
    assert "scheduler" not in rows or rows["scheduler"] == ("cosine", "constant")
    assert "trainer.validate_every" not in rows


def test_a_single_epoch_is_enough_to_look_at(tmp_path: Path) -> None:
    result = run(tmp_path, *QUICK, "recipe.refine_epochs=1", "recipe.steps=[1,2,3,4,5,6]")
    assert result.exit_code == 0
    assert "after epoch 1 of 1" in result.reports[6].conclusion


def test_every_trial_is_a_run_in_tensorboard_under_its_step(done: RecipeResult) -> None:
    for number, report in done.reports.items():
        events = list((done.directory / f"step{number}").glob("*/events.out.tfevents.*"))
        assert len(events) == len(report.trials)


def test_the_experiment_reproduces_the_first_final_run(done: RecipeResult, tmp_path: Path) -> None:
    command = shlex.split(content(done)["steps"][-1]["numbers"]["experiment"])
    assert command[:3] == ["nnlab", "train", "--config-dir"]
    config = compose("experiment=best", f"output_dir={tmp_path}", config_dir=command[3])
    final = done.directory / "final" / "seed=0"
    assert identity(config) == identity(read_config(final))
    again, first = train(config), read_result(final)
    assert first is not None
    assert again.metrics["test"]["loss"] == pytest.approx(first["metrics"]["test"]["loss"], rel=1e-4)


def test_the_command_of_a_trial_reproduces_it(done: RecipeResult, tmp_path: Path) -> None:
    for number in (3, 5):
        trial = done.reports[number].trials[0]
        words = shlex.split(trial.command)[2:]
        again = train(compose(*words, "callbacks=[]", f"output_dir={tmp_path / str(number)}"))
        assert again.trainer is not None
        found = again.trainer.history.latest("loss/validation", 0)
        assert found == pytest.approx(trial.metrics["loss/validation"], rel=1e-3)


def test_the_test_split_is_looked_at_once_and_compared_with_simple_models(done: RecipeResult) -> None:
    numbers = done.reports[8].numbers
    assert len(numbers.runs) == 2
    for name in ("constant", "linear"):
        apart = numbers.test["accuracy"] - numbers.simple_test[name]["accuracy"]
        assert numbers.gains[name] == pytest.approx(apart, abs=1e-6)
        assert apart >= -numbers.gain_errors[name]
    assert numbers.best == "network"
    assert all(
        "test" not in metric
        for number in range(1, 8)
        for trial in done.reports[number].trials
        for metric in trial.metrics
    )


def test_a_fault_stops_the_recipe_with_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*QUICK, "initialization=constant", "recipe.steps=[1,2]", f"output_dir={tmp_path}"]
    assert main(["recipe", *words]) == 1
    printed = capsys.readouterr().out
    assert "symmetric_units" in printed
    assert "The recipe stops after step 1; `recipe.keep_going=true` goes on" in printed
    folder = next((tmp_path / "recipe").iterdir())
    assert [step["number"] for step in json.loads((folder / "recipe.json").read_text())["steps"]] == [1]
    assert "not passed" in (folder / "report.html").read_text()
    assert "recipe.keep_going=true" in (folder / "report.md").read_text()
    assert main(["recipe", *words, "recipe.keep_going=true"]) == 1
    newest = max((tmp_path / "recipe").iterdir(), key=lambda path: path.stat().st_mtime)
    assert [step["number"] for step in json.loads((newest / "recipe.json").read_text())["steps"]] == [1, 2]


def test_a_step_that_needs_another_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="step 5 builds on step 4"):
        run(tmp_path, *QUICK, "recipe.steps=[5]")
    with pytest.raises(UserError, match=r"recipe\.steps"):
        run(tmp_path, *QUICK, "recipe.steps=[9]")


def test_an_interrupted_recipe_continues_after_its_last_finished_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*QUICK, "recipe.steps=[1,2]"]
    monkeypatch.setattr("nnlab.report.recipe_page.write_report", lambda *_: None)
    whole = Recipe._step

    def stopped(self: Recipe, number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt
        whole(self, number)

    monkeypatch.setattr(Recipe, "_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, *words)
    walked: list[int] = []

    def counted(self: Recipe, number: int) -> None:
        walked.append(number)
        whole(self, number)

    monkeypatch.setattr(Recipe, "_step", counted)
    result = run(tmp_path, *words)
    assert walked == [2]
    assert sorted(result.reports) == [1, 2]
    assert len(list((tmp_path / "recipe").iterdir())) == 1
    run(tmp_path, *words)
    assert len(list((tmp_path / "recipe").iterdir())) == 2  # it was complete


def walk_and_die(words: list[str], number: int, walked: Path) -> None:
    """In a process of its own: walk a recipe, noting its steps, to the third update of a step's first networks."""
    step, fit, present = Recipe._step, Trainer.fit, 0

    class Killed(Callback):
        def step_end(self, trainer: Trainer) -> None:
            if trainer.step == 3:
                os.kill(os.getpid(), signal.SIGKILL)

    def noted(self: Recipe, following: int) -> None:
        nonlocal present
        present = following
        with walked.open("a") as file:
            file.write(f"{following}\n")
        step(self, following)

    def watched(self: Trainer) -> Trainer:
        if present == number:
            self.callbacks.append(Killed())
        return fit(self)

    Recipe._step, Trainer.fit = noted, watched  # type: ignore[method-assign]
    Drawing.start = lambda self: None  # type: ignore[method-assign]
    with contextlib.redirect_stdout(io.StringIO()):
        main(words)


def kill_in_step(words: list[str], number: int, walked: Path) -> int:
    """Kill a recipe in a step; returns the first step that it walked."""
    walked.unlink(missing_ok=True)
    process = SERVER.Process(target=walk_and_die, args=(words, number, walked))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    return int(walked.read_text().split()[0])


def test_a_killed_recipe_ends_as_one_that_was_never_stopped(done: RecipeResult, tmp_path: Path) -> None:
    words = ["recipe", *QUICK, f"output_dir={tmp_path}"]
    assert [kill_in_step(words, number, tmp_path / "walked") for number in (3, 5, 8)] == [1, 3, 5]
    assert main(words) == 0
    [folder] = (tmp_path / "recipe").iterdir()
    killed = json.loads((folder / "recipe.json").read_text())
    for one, other in zip(killed["steps"], content(done)["steps"], strict=True):
        if one["number"] < 8:
            folders = str(tmp_path), str(done.directory.parents[1])  # step 3 ends with a command
            first, second = (each["conclusion"] for each in (one, other))
            assert first.replace(folders[0], "") == second.replace(folders[1], "")


FOREIGN = [
    "architecture._target_=faults.FrozenLayer",
    "regularizer=[weight_decay,dropout]",
    "data/preprocessing=none",
    "optimizer=sgd",
    "data/augmentation=[shift]",
]


@pytest.mark.parametrize("overrides", [[], FOREIGN, ["regularizer=[]", "loss=multiclass_svm"]], ids=str)
def test_an_experiment_composes_to_the_config_it_was_written_from(overrides: list[str], tmp_path: Path) -> None:
    config = compose(*overrides, "data_seed=3", "trainer.epochs=7")
    write_experiment(tmp_path, config, "test")
    assert identity(compose("experiment=best", config_dir=tmp_path)) == identity(config)


def test_the_last_word_names_what_is_better_than_the_network() -> None:
    def model(name: str, value: float) -> SimpleModel:
        return SimpleModel(name, {}, {"test": {"rmse": value}})

    models = [model("constant", 450.0), model("linear", 302.0), model("trees", 310.0), model("given", 428.0)]
    judged = {"constant": (21.0, 10.0), "linear": (-127.0, 40.0), "trees": (-119.0, 130.0), "given": (-1.5, 1.0)}
    assert winner(judged) == "linear"
    sentence = verdict("rmse", models, judged)
    assert sentence == (
        "compared with it on these test examples: a linear model (302) better; the configuration as given (428) "
        "perhaps better; boosted trees (310) as good, within a standard error; the constant (450) worse; what is "
        "perhaps so differs by less than 2 standard errors"
    )
    assert winner({"linear": (-0.1, 0.2), "constant": (0.1, 0.2)}) == "network"
    assert "perhaps" not in verdict("rmse", models[:3], judged)
    unknown = {"linear": (-127.0, math.nan)}
    assert verdict("rmse", models[1:2], unknown).endswith(": a linear model (302) not to be told from a single example")
    assert winner(unknown) == "network"


def test_a_seed_below_the_constant_lowers_the_rate_and_is_said(tmp_path: Path) -> None:
    config = compose(*QUICK, "optimizer=sgd", "loss=squared_error", config_name="recipe")
    trials = Trials(config)
    key = rate_key(trials)
    final = FinalTraining(config, trials, RecipeSettings(final_seeds=2), tmp_path)
    report = final.conclude({"regularizer": [], key: 100.0, "trainer.epochs": 1, "trainer.steps": None}, given=())
    assert report.numbers.lowered == [100.0, 50.0]
    assert "failed_seed" in [finding.name for finding in report.faults]
    assert not report.passed
    assert (tmp_path / "final, rate 25" / "seed=0").is_dir()


def test_the_configuration_as_given_is_the_best_network_where_it_is_better_on_validation(tmp_path: Path) -> None:
    config = compose(*QUICK, "data=digits", "data.limit=600", config_name="recipe")
    trials = Trials(config)
    final = FinalTraining(config, trials, RecipeSettings(final_seeds=2), tmp_path)
    found = {"regularizer": [], rate_key(trials): 1e-4, "trainer.epochs": 2, "trainer.steps": None}
    report = final.conclude(found)
    numbers = report.numbers
    assert numbers.network == "given"
    assert numbers.best != "network"
    gain, error = numbers.given_gain
    assert gain > error > 0
    assert numbers.test["accuracy"] > numbers.rival["accuracy"]
    assert numbers.gains["found"] == pytest.approx(numbers.test["accuracy"] - numbers.rival["accuracy"], abs=1e-6)
    assert "the best network is the configuration as given" in report.conclusion
    assert report.names().count("given_configuration_better") == 1
    assert [Path(run["directory"]).parent.name for run in numbers.runs] == ["given", "given"]
    best = compose("experiment=best", config_dir=tmp_path)
    assert identity(best) == identity(read_config(tmp_path / "given" / "seed=0"))
    assert "the best network is the configuration as given" in headline({"steps": [report.to_dict()]})
    assert "as found" in figures(report.to_dict())[0][0].axes[0].get_legend_handles_labels()[1][-1]


def test_the_experiment_of_a_given_ensemble_that_wins_has_as_many_members_as_were_trained(tmp_path: Path) -> None:
    config = compose(*QUICK, "data=digits", "data.limit=600", config_name="recipe")
    trials = Trials(config)
    final = FinalTraining(config, trials, RecipeSettings(final_seeds=3, ensemble=True), tmp_path)
    found = {"regularizer": [], rate_key(trials): 1e-4, "trainer.epochs": 2, "trainer.steps": None}
    assert final.conclude(found, given=range(2)).numbers.network == "given"
    best = compose("experiment=best", config_dir=tmp_path)
    assert identity(best) == identity(read_config(tmp_path / "given" / "seed=0"))


def test_a_final_ensemble_is_said_with_what_its_members_reach_alone(tmp_path: Path) -> None:
    config = compose(*QUICK, "data=digits", "data.limit=600", "recipe.ensemble=true", config_name="recipe")
    final = FinalTraining(config, Trials(config), RecipeSettings(final_seeds=3, ensemble=True), tmp_path)
    report = final.conclude({"regularizer": [], "trainer.epochs": 4, "trainer.steps": None}, given=())
    [found] = report.numbers.runs
    alone = [metrics["accuracy"] for metrics in found["members"]["test"]]
    value = report.numbers.test["accuracy"]
    assert len(alone) == 3
    assert value == found["metrics"]["test"]["accuracy"]
    each = with_error(mean(alone), stdev(alone))
    assert f"test accuracy {value:.4g} as an ensemble of 3 (each alone {each})" in report.conclusion
    assert [row[0] for row in report.tables[0].rows][:5] == [
        *("member 0 alone", "member 1 alone", "member 2 alone"),
        *("ensemble", "spread of the members"),
    ]
    assert "ensemble" in compose("experiment=best", config_dir=tmp_path)["regularizer"]
    [figure, _] = figures(report.to_dict())[0]
    [networks, *_] = figure.axes[0].lines
    assert networks.get_xdata() == pytest.approx(alone)
    assert f"ensemble {value:.4g}" in figure.axes[0].get_legend_handles_labels()[1]


def test_the_configuration_as_given_is_a_contestant_of_the_final_table(done: RecipeResult) -> None:
    report = done.reports[8]
    numbers = content(done)["steps"][-1]["numbers"]
    assert numbers["network"] == "found"
    assert [run["seed"] for run in numbers["rival_runs"]] == [run["seed"] for run in numbers["runs"]]
    assert numbers["gains"]["given"] == pytest.approx(numbers["test"]["accuracy"] - numbers["rival"]["accuracy"])
    assert numbers["given_gain"][0] <= numbers["given_gain"][1]
    assert "the configuration as given" in [row[0] for row in report.tables[0].rows]
    assert "on validation the configuration as given is" in report.conclusion


def test_the_recipe_s_settings_are_found_though_a_function_has_the_name_of_their_room() -> None:
    code = "from nnlab.config.lookup import locate; import nnlab; print(locate('nnlab.recipe.RecipeSettings').__name__)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "RecipeSettings"


def test_the_recipe_of_a_table_ends_with_the_command_that_predicts(
    done: RecipeResult, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnlab.commands.recipe.recipe", lambda *_: done)
    for words, lines in (["data=table", "data.path=x.csv", "data.target=y"], 1), (["data=blobs"], 0):
        capsys.readouterr()
        recipe_command(compose(*words, config_name="recipe"))
        assert capsys.readouterr().out.count(f"nnlab predict {done.directory} FILE") == lines
