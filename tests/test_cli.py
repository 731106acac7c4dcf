"""The command line: commands, exit codes, Hydra's flags, resuming, and tab completion."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy_configs import toy_configs, write_configs  # noqa: F401

from nnlab import __version__
from nnlab.cli import compose, main
from nnlab.cli.dispatch import COMMANDS
from nnlab.errors import UserError

ROOT = Path(__file__).parent.parent
EXIT_CODES = {"completed": 0, "failed": 1, "diverged": 3, "interrupted": 143}


@dataclasses.dataclass
class Result:
    status: str = "completed"

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.status]


@pytest.fixture
def jobs(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], list[str]]]:
    """The jobs that were run: configs and overrides. A run's name is its status, or what it raises."""
    seen: list[tuple[dict[str, Any], list[str]]] = []
    raised = {"user": UserError("`x` is wrong"), "bug": RuntimeError("a bug"), "key": KeyboardInterrupt()}

    def train(config: dict[str, Any], overrides: list[str]) -> Result:
        seen.append((config, overrides))
        if config["name"] in raised:
            raise raised[config["name"]]
        return Result(config["name"] if config["name"] in EXIT_CODES else "completed")

    for target in filter(None, ("nnlab.commands.train:main", COMMANDS["train"].job)):
        module, _, function = target.partition(":")
        fake = types.ModuleType(module)
        setattr(fake, function, train)
        monkeypatch.setitem(sys.modules, module, fake)
    monkeypatch.chdir(tmp_path)
    return seen


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that sees this checkout."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables, timeout=600)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["list"], ["list", "optimizer"], ["trian"]])
def test_what_trains_nothing_imports_neither_torch_nor_hydra(arguments: list[str]) -> None:
    code = f"import sys; from nnlab.cli import main; main({arguments!r}); print(sorted(sys.modules))"
    modules = python(code).stdout.splitlines()[-1]
    assert "nnlab.cli" in modules
    assert not any(f"'{name}'" in modules for name in ("torch", "hydra", "omegaconf", "numpy"))


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name} " in text
        assert command.help in text
    assert "-sc install=bash" in text


def test_an_unknown_command_is_the_users_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert capsys.readouterr().err == "nnlab: there is no command `trian`; did you mean `train`?\n"


def test_the_version_is_nnlabs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nnlab {__version__}\n"


def test_list_describes_groups_and_options(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    assert "data/preprocessing\n  standardize   Mean 0, standard deviation 1.\n" in text
    assert "  weight_decay  Penalty on squared weights.\n" in text
    assert main(["list", "data/preprocessing"]) == 0
    assert capsys.readouterr().out == "data/preprocessing\n  standardize  Mean 0, standard deviation 1.\n"
    assert main(["list", "optimizr"]) == 2
    assert "did you mean `optimizer`?" in capsys.readouterr().err


def test_a_job_gets_a_plain_config_and_its_overrides(jobs: list[Any]) -> None:
    assert main(["train", "optimizer=sgd", "output_dir=${name}"]) == 0
    [(config, overrides)] = jobs
    assert overrides == ["optimizer=sgd", "output_dir=${name}"]
    assert config["optimizer"] == {"_target_": "toy.Sgd", "learning_rate": 0.1, "momentum": 0.0}
    assert config["output_dir"] == "train"
    assert config["resume"] is None
    assert "hydra" not in config


def test_hydra_leaves_no_files_behind(jobs: list[Any], tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    assert main(["train"]) == 0
    assert set(tmp_path.rglob("*")) == before
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize("status", EXIT_CODES)
def test_the_exit_code_of_a_single_run_is_that_of_its_result(jobs: list[Any], status: str) -> None:
    assert main(["train", f"name={status}"]) == EXIT_CODES[status]


@pytest.mark.parametrize(
    ("statuses", "code"), [("completed,diverged", 0), ("completed,failed", 1), ("failed,interrupted", 143)]
)
def test_in_a_sweep_divergence_is_a_result(jobs: list[Any], statuses: str, code: int) -> None:
    assert main(["train", "-m", f"name={statuses}", "hydra/launcher=basic"]) == code
    assert [config["name"] for config, _ in jobs] == statuses.split(",")


def test_a_users_mistake_in_a_job_is_one_sentence(jobs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "name=user"]) == 2
    assert capsys.readouterr() == ("", "nnlab train: `x` is wrong\n")


def test_an_interrupt_has_its_own_exit_code_and_no_traceback(jobs: list[Any]) -> None:
    assert main(["train", "name=key"]) == 130


def test_a_bug_of_ours_keeps_its_traceback(jobs: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="a bug") as caught:
        main(["train", "name=bug"])
    assert any(entry.name == "train" and entry.path.name == "test_cli.py" for entry in caught.traceback)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["optimzer=adam"], "unknown key `optimzer`; did you mean `optimizer`?"),
        (["trainer.epochs=many"], "`trainer.epochs` must be a number or null, got 'many'"),
        (["--mutlirun"], "unrecognized arguments: --mutlirun; `nnlab train --help` shows what there is"),
        (["--config-dir", "nowhere"], "the config folder `nowhere` does not exist"),
        (["--cfg", "jobb"], "invalid choice: 'jobb'"),
        (["-m", "optimizer=sgd,adm"], "`optimizer` has no option `adm`; did you mean `adam`?"),
        (["-m", "optimizer.learning_rat=1,2"], "unknown key `optimizer.learning_rat`; did you mean"),
        (["-m", "optimizer.learning_rate=1,-1"], "`optimizer.learning_rate` must be in (0, inf), got -1"),
        (["-m", "optimizer=sgd,adam", "optimizer.momentum=0.1"], "unknown key `optimizer.momentum`"),
        (["-m", "+optimizer.foo=1,2"], "unknown key `optimizer.foo`"),
        (["-m", "seed=interval(0,1)"], "does not support sweep type"),
        (["regularizer.dropout.p=0.5"], "`dropout`, which is not chosen; add `regularizer=[weight_decay,dropout]`"),
        (["resume=nowhere"], "`resume=nowhere` is not the folder of a run"),
        (["optimizer=[sgd,adam]"], "`optimizer` takes one option; `-m optimizer=sgd,adam` trains one after another"),
        (["-m", "optimizer=[sgd],[adam]"], "`optimizer` takes one option"),
        (["sweep.retries=2"], "`sweep.retries=2` is about a sweep, and without `-m` there is none; add `-m`"),
        (["hydra/launcher=joblib"], "is about a sweep, and without `-m` there is none"),
        (["-m", "seed=range(1,2,0)"], "the step of a range must not be 0"),
        (["-m", "seed=range(3),9"], "mixes a range with values; write all values"),
        (["-m", "hydra.sweeper=null", "seed=1,2"], "`hydra.sweeper` must be a section with `_target_`"),
        (["name=../../x"], "`name` must be the name of a folder in `output_dir`"),
        (["name="], "`name` must be the name of a folder"),
        ([f"output_dir={'a' * 256}"], "a folder's name has 255 bytes at most, got 256"),
        (["hydra.run.dir=/nope"], "`hydra.run.dir` is not used: runs are in `output_dir`/`name`"),
        (["hydra.job.name=x"], "`hydra.job.name` is not used: nothing refers to it, and a study is named by `name="),
        (["hydra.job.config.override_dirname.kv_sep=x"], "`hydra.job.config.override_dirname.kv_sep` is not used"),
        (["hydra.job=${seed}"], "`hydra.job=${seed}`: `hydra.job` is a section, and a reference cannot stand for it"),
        (["hydra.job.config.override_dirname=${name}"], "is a section, and a reference cannot stand for it"),
        (["-m", "seed=1,2", "hydra.sweeper.params={_target_: torch.nn.ReLU}"], "hydra.sweeper.params"),
        (["-m", "seed=1,2", "sweep.zip=${nothing}"], "`sweep.zip` cannot be resolved: Interpolation key 'nothing'"),
        (["hydra.env=x"], "`hydra.env` is not used: nnlab does not read it"),
        (["hydra={job: {name: x}}"], "`hydra.job.name` is not used"),
        ([f"optimizer.learning_rate={10**60}"], "`optimizer.learning_rate` has 61 digits"),
        (["regularizer.weight_decay.strength=1e308"], "must be at most 1e+30 in size, got 1e+308"),
        (["~trainer", "trainer.epochs=2"], "`~trainer` deletes the section of `trainer.epochs=2`"),
        (["optimizer.learning_rate=1", "optimizer={_target_: toy.Mlp}"], "Mlp}` replaces the section of `optimizer."),
        (["resume="], "`resume=` names no run"),
        (["resume=nowhere", "-m"], "`resume=` continues one run; leave out `-m`"),
    ],
)
def test_mistakes_are_refused_before_the_first_job(
    jobs: list[Any], capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert jobs == []


def test_hydras_name_of_the_job_counts_where_something_refers_to_it(jobs: list[Any]) -> None:
    assert main(["train", "name=${hydra:job.name}", "hydra.job.name=x"]) == 0
    assert jobs[0][0]["name"] == "x"


def test_several_experiments_are_applied_one_after_another_unless_they_contradict(
    jobs: list[Any], toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "# @package _global_\n# One of several.\n"
    files = {"short": "trainer: {epochs: 2}", "long": "trainer: {epochs: 9}\nseed: 3"}
    files |= {name: f"defaults: [override /optimizer: {name}]" for name in ("sgd", "adam")}
    write_configs(toy, {f"experiment/{name}.yaml": head + text for name, text in files.items()})
    assert main(["train", "experiment=[long,short,sgd]"]) == 0
    assert (jobs[0][0]["trainer"]["epochs"], jobs[0][0]["seed"]) == (2, 3)
    assert main(["train", "experiment=[sgd,short,adam]"]) == 2
    assert "`sgd` and `adam` both choose `optimizer`; leave one of them out" in capsys.readouterr().err


def test_options_may_be_chosen_by_a_pattern(jobs: list[Any]) -> None:
    assert main(["train", "-m", "optimizer=glob(ad*)", "hydra/launcher=basic"]) == 0
    assert [overrides for _, overrides in jobs] == [["optimizer=adam"]]


def test_letters_beyond_ascii_need_no_quotes(jobs: list[Any]) -> None:
    assert main(["train", "output_dir=größe/ö 1"]) == 0
    assert jobs[0][0]["output_dir"] == "größe/ö 1"


def test_keys_whose_value_is_null_can_be_deleted(jobs: list[Any]) -> None:
    assert main(["train", "~trainer.time_limit", "~regularizer"]) == 0
    assert (jobs[0][0]["trainer"]["time_limit"], jobs[0][0]["regularizer"]) == (None, {})


def test_play_refuses_a_target_that_is_no_column_before_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nnlab.play.server.serve", lambda *_: pytest.fail("it served"))
    table = tmp_path / "table.csv"
    table.write_text("a,kind\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(40)))
    assert main(["play", str(table), "target=nosuch"]) == 2
    assert "table.csv has no column `nosuch` (`data.target`); valid: a, kind" in capsys.readouterr().err


def test_a_page_to_play_on_is_not_opened_for_a_folder_that_is_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "nothing"
    alone.mkdir()
    assert main(["play", str(alone)]) == 2
    assert f"`{alone}` is not the folder of a run; a run's folder holds a config.yaml" in capsys.readouterr().err


def test_flags_may_stand_among_the_overrides(jobs: list[Any]) -> None:
    assert main(["train", "optimizer=sgd", "-m", "seed=0,1", "hydra/launcher=basic"]) == 0
    assert [overrides for _, overrides in jobs] == [["optimizer=sgd", f"seed={seed}"] for seed in (0, 1)]


def test_a_key_may_exist_in_the_swept_options_only(jobs: list[Any], toy: Path) -> None:
    write_configs(toy, {"optimizer/heavy.yaml": "# Heavy.\n_target_: toy.Sgd\nlearning_rate: 1\nmomentum: 0.5"})
    assert main(["train", "-m", "optimizer=sgd,heavy", "optimizer.momentum=0.9", "hydra/launcher=basic"]) == 0
    assert [config["optimizer"]["momentum"] for config, _ in jobs] == [0.9, 0.9]
    assert [overrides[0] for _, overrides in jobs] == ["optimizer=sgd", "optimizer=heavy"]


def test_jobs_that_share_a_composition_are_those_composed_alone(jobs: list[Any]) -> None:
    swept = ["optimizer=sgd,adam", "optimizer.learning_rate=1,2", "regularizer=[],[dropout]", "sweep.zip=[a,b]"]
    assert main(["train", "-m", *swept, "hydra/launcher=basic"]) == 0
    assert len(jobs) == 8
    for config, overrides in jobs:
        assert config == compose(*overrides)


def test_an_experiment_may_be_a_sweep_of_its_own(jobs: list[Any], toy: Path) -> None:
    text = "# @package _global_\n# Two seeds.\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '3,4'}}}\n"
    write_configs(toy, {"experiment/seeds.yaml": text})
    assert main(["train", "experiment=seeds"]) == 0
    assert [config["seed"] for config, _ in jobs] == [3, 4]


def test_options_of_ones_own_are_selected_from_any_directory(jobs: list[Any], tmp_path: Path) -> None:
    write_configs(tmp_path / "own", {"optimizer/mine.yaml": "# Mine.\n_target_: toy.Sgd\nlearning_rate: 2"})
    assert main(["train", "--config-dir", "own", "optimizer=mine"]) == 0
    assert jobs[0][0]["optimizer"]["learning_rate"] == 2


@pytest.fixture
def finished(jobs: list[Any], tmp_path: Path) -> Path:
    """The folder of a run, with a name that Hydra would take apart."""
    assert main(["train", "optimizer=sgd", "trainer.epochs=3"]) == 0
    folder = tmp_path / "outputs/train/optimizer=sgd,trainer.epochs=3"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(jobs.pop()[0]))
    return folder


def test_a_run_resumes_from_its_own_config_with_further_overrides(jobs: list[Any], finished: Path) -> None:
    relative = finished.relative_to(Path.cwd())
    assert main(["train", f"resume={relative}", "trainer.epochs=50"]) == 0
    [(config, overrides)] = jobs
    assert config["resume"] == str(relative)
    assert overrides == ["trainer.epochs=50"]
    assert config["trainer"]["epochs"] == 50
    assert config["optimizer"]["_target_"] == "toy.Sgd"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("trainer.epoch=50", "unknown key `trainer.epoch`; did you mean `trainer.epochs`?"),
        ("+trainer.epoch=50", "unknown key `trainer.epoch`; did you mean `trainer.epochs`?"),
        ("trainer.epochs=many", "`trainer.epochs` must be a number or null, got 'many' (override"),
        ("optimizer=adam", "`optimizer=adam` cannot go with `resume=`"),
        ("seed=1,2", "`seed=1,2` cannot go with `resume=`"),
        ("trainer.epochs=[", "cannot read the override `trainer.epochs=[`"),
    ],
)
def test_resuming_refuses_the_same_mistakes(
    jobs: list[Any], finished: Path, capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    assert main(["train", f"resume={finished}", override]) == 2
    assert sentence in capsys.readouterr().err
    assert jobs == []


def test_a_misspelt_run_is_answered_with_the_nearest(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"resume={finished.parent}/optimizer=sdg,trainer.epochs=3"]) == 2
    assert f"did you mean `{finished.name}`?" in capsys.readouterr().err


def test_a_mistake_in_a_runs_own_config_names_the_file(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = finished / "config.yaml"
    file.write_text(file.read_text().replace("seed: 0", "seed: x"))
    assert main(["train", f"resume={finished}"]) == 2
    assert f"`seed` must be a whole number, got 'x' (in {file.relative_to(Path.cwd())})" in capsys.readouterr().err
    file.write_text("seed: [")
    assert main(["train", f"resume={finished}"]) == 2
    assert "config.yaml` is damaged, line " in capsys.readouterr().err


def test_cfg_job_prints_the_config_that_would_run(jobs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--cfg", "job", "optimizer=sgd", "seed=3"]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["seed"] == 3
    assert config["optimizer"]["_target_"] == "toy.Sgd"
    assert jobs == []


def test_the_help_of_an_application_shows_groups_and_keys(jobs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    assert "optimizer: adam, broken," in text
    assert "learning_rate: 0.001" in text
    assert jobs == []


def test_graph_draws_what_it_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "e=(a+b)*(b+1)", "a=2", "b=1", "--out", str(tmp_path / "graph.svg")]) == 0
    assert "e" in capsys.readouterr().out
    assert (tmp_path / "graph.svg").read_text().count("<svg") == 1
    assert main(["graph", "e=(a+"]) == 2


def test_a_task_reaches_other_processes() -> None:
    from nnlab.cli.application import ComposedJob
    from nnlab.cli.dispatch import Application

    job = pickle.loads(pickle.dumps(ComposedJob("train", Application("module:train"))))
    assert (job.command, job.task.target) == ("train", "module:train")


COMPLETIONS = {
    "nnlab tr": {"train"},
    "nnlab ": set(COMMANDS),
    "nnlab list opt": {"optimizer"},
    "nnlab train opt": {"optimizer=", "optimizer."},
    "nnlab train optimizer=s": {"optimizer=sgd"},
    "nnlab train data/pre": {"data/preprocessing="},
    "nnlab train optimizer=sgd optimizer.m": {"optimizer.momentum="},
    "nnlab train trainer.ep": {"trainer.epochs="},
    "nnlab train -m seed=0,1 experiment=q": {"experiment=quick"},
    "nnlab train optimizer=nonsense archi": {"architecture="},
    "nnlab graph xo": set(),
}


@pytest.mark.parametrize("line", COMPLETIONS)
def test_tab_completes_commands_groups_options_and_keys(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/nnlab"])
    assert main(["-sc", "query=bash"]) == 0
    answers = set(capsys.readouterr().out.split())
    assert COMPLETIONS[line] <= answers
    start = line.split(" ")[-1]
    assert {answer for answer in answers if answer.startswith(start)} == answers


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_installed_completion_works_in_bash(tmp_path: Path) -> None:
    program = tmp_path / "nnlab"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m nnlab "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(nnlab train -sc install=bash)"
        complete -p nnlab
        COMP_LINE="nnlab train optimizer=ad"; COMP_POINT=24; COMP_CWORD=2; hydra_bash_completion
        printf '<%s>' "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=600)
    assert done.stderr == ""
    assert "hydra_bash_completion nnlab" in done.stdout
    assert "<optimizer=adam>" in done.stdout
