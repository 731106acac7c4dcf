"""A stranger's files execute nothing, wherever `_target_` can stand; what the user trusts, or types, works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnlab.cli import compose, main
from nnlab.config import lookup, trust
from nnlab.config.construct import construct
from nnlab.config.kinds import KINDS, check_kind
from nnlab.config.lookup import locate
from nnlab.errors import UserError

QUICK = ["trainer.epochs=1", "data=xor", "callbacks=[checkpoint]"]

STRANGER = """
from pathlib import Path
from torch import nn

Path({mark!r}).touch()  # importing is enough

def touch(*arguments, **named) -> nn.Module:
    Path({mark!r}).touch()
    return nn.Linear(2, 3)
"""


@pytest.fixture(autouse=True)
def _nothing_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trust.VARIABLE, "")
    monkeypatch.setattr(trust, "_read", [])


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that exists once `stranger` was imported or its function called; the module is outside of the project."""
    found = tmp_path / "mark"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/stranger.py").write_text(STRANGER.format(mark=str(found)))
    (tmp_path / "here").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path / "here")
    lookup._located.cache_clear()
    yield found
    sys.modules.pop("stranger", None)


@pytest.fixture
def run(mark: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A finished run."""
    assert main(["train", *QUICK, "name=own"]) == 0
    capsys.readouterr()
    return next(Path("outputs/own").iterdir())


EVIL = {"_target_": "stranger.touch"}


def _set(config: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        config = config.setdefault(part, {})
    config[last] = value["_target_"] if last == "_target_" else value


PLACES = [
    *("activation", "architecture", "data", "data.preprocessing", "data.augmentation.x", "initialization", "loss"),
    *("optimizer", "scheduler", "regularizer.x", "trainer._target_", "optimizer.learning_rate", "architecture.widths"),
]
COMMANDS = ["evaluate RUN", "diagnose RUN", "train resume=RUN", "reproduce RUN", "plot RUN surface"]


@pytest.mark.parametrize("place", PLACES)
def test_a_strangers_run_executes_nothing(
    run: Path, mark: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    _set(config, place, EVIL)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    refused = 0
    for command in COMMANDS:
        code = main([word.replace("RUN", str(run)) for word in command.split()])
        error = capsys.readouterr().err
        assert not mark.exists()
        assert "Traceback" not in error
        if "trust=[stranger]" in error or "` must be a" in error:  # a section in the place of a number
            assert (code, len(error.splitlines())) == (2, 1)
            refused += 1
    assert refused >= 1
    assert "stranger" not in sys.modules


def test_callbacks_of_a_strangers_run_execute_nothing(
    run: Path, mark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["callbacks"]["x"] = EVIL
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["train", f"resume={run}", "trainer.epochs=2"]) == 2
    assert "trust=[stranger]" in capsys.readouterr().err
    assert main(["reproduce", str(run)]) == 2
    assert not mark.exists()


FILES = {
    "a component": "# @package _global_\n# X.\nloss: {_target_: stranger.touch}\n",
    "a nested argument": "# @package _global_\n# X.\narchitecture: {widths: [{_target_: stranger.touch}]}\n",
    "a swept value": (
        "# @package _global_\n# X.\nhydra: {mode: MULTIRUN, sweeper: {params: {loss._target_: stranger.touch}}}\n"
    ),
    "a callback of Hydra": "# @package _global_\n# X.\nhydra: {callbacks: {x: {_target_: stranger.touch}}}\n",
    "an argument of a launcher": "# @package _global_\n# X.\nhydra: {launcher: {memory: {_target_: stranger.touch}}}\n",
    "a handler of logs": (
        "# @package _global_\n# X.\n"
        "hydra: {job_logging: {handlers: {x: {(): stranger.touch}}, root: {handlers: [x]}}}\n"
    ),
    "a stream of logs": (
        "# @package _global_\n# X.\n"
        "hydra: {job_logging: {handlers: {x: {class: logging.StreamHandler, stream: 'ext://stranger.x'}}}}\n"
    ),
    "a variable that grants trust": (
        "# @package _global_\n# X.\n"
        "hydra: {job: {env_set: {NNLAB_TRUST: stranger}}}\nloss: {_target_: stranger.touch}\n"
    ),
    "a grant in the file": "# @package _global_\n# X.\ntrust: [stranger]\nloss: {_target_: stranger.touch}\n",
}


@pytest.mark.parametrize("place", FILES)
@pytest.mark.parametrize("command", ["train", "recipe"])
def test_a_strangers_experiment_file_executes_nothing(
    mark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    (tmp_path / "theirs/experiment").mkdir(parents=True)
    (tmp_path / "theirs/experiment/best.yaml").write_text(FILES[place])
    assert main([command, "--config-dir", str(tmp_path / "theirs"), "experiment=best"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not mark.exists()
    assert "stranger" not in sys.modules


def test_commands_of_a_cluster_are_not_taken_from_a_file(
    mark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs/experiment").mkdir(parents=True)
    file = tmp_path / "theirs/experiment/best.yaml"
    file.write_text("# @package _global_\n# X.\nhydra: {launcher: {setup: ['touch mark']}}\n")
    words = ["train", "-m", "--config-dir", str(tmp_path / "theirs"), "experiment=best", "seed=0,1"]
    assert main([*words, "hydra/launcher=submitit_slurm"]) == 2
    assert "`hydra.launcher.setup` decides what is run besides nnlab" in capsys.readouterr().err


def test_what_is_trusted_or_typed_is_run(mark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"add `trust=\[stranger\]`"):
        construct(EVIL, "architecture")
    assert not mark.exists()
    trust.grant(["stranger"])
    construct(EVIL, "architecture")
    assert mark.exists()


def test_trust_is_an_argument_of_every_command(run: Path, mark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mark.parent / "theirs/experiment").mkdir(parents=True)
    file = mark.parent / "theirs/experiment/best.yaml"
    file.write_text(
        "# @package _global_\n# X.\narchitecture: {_target_: stranger.touch, widths: null, batch_norm: null}\n"
    )
    words = ["train", *QUICK, "--config-dir", str(mark.parent / "theirs"), "experiment=best"]
    assert main(words) == 2
    assert not mark.exists()
    assert main([*words, "trust=[os, stranger]"]) != 0
    assert mark.exists()
    capsys.readouterr()
    assert main(["evaluate", str(run), "trust=[stranger]"]) == 0
    assert main(["evaluate", str(run), "trust=[no/name]"]) == 2
    assert "`trust` takes names of packages" in capsys.readouterr().err


def test_what_is_typed_is_trusted_under_that_name_alone(mark: Path) -> None:
    compose("data=xor", "architecture={_target_: stranger.touch}")
    assert trust.grants() == ["stranger.touch"]
    with pytest.raises(UserError, match="trust="):
        locate("stranger.Path")


def test_the_project_below_the_working_directory_is_trusted_and_what_it_imports_is_not(
    mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ours_1.py").write_text("import os\nfrom torch import nn\nclass Net(nn.Sequential): ...\ndef f(): ...\n")
    monkeypatch.syspath_prepend(".")
    assert check_kind("ours_1.Net", "architecture").__name__ == "Net"
    for target in ("ours_1.os.getcwd", "ours_1.os.path.join"):
        with pytest.raises(UserError, match=r"which is `.*`, lies outside"):
            locate(target)
    with pytest.raises(UserError, match="a function, and not annotated to return a"):
        check_kind("ours_1.f", "architecture")
    with pytest.raises(UserError, match="a function, and not annotated"):
        check_kind("ours_1.f", None)


def test_code_that_came_with_the_folder_that_is_read_is_not_the_project(
    mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("model_1", "model_1/run"):
        Path(name).mkdir()
        Path(name, "__init__.py").touch()
    Path("model_1/code.py").write_text("from torch import nn\nclass Net(nn.Sequential): ...\n")
    monkeypatch.syspath_prepend(".")
    assert trust.in_project("model_1.code.Net")
    trust.reading("model_1/run")
    assert not trust.in_project("model_1.code.Net")


def test_installed_packages_below_the_working_directory_are_not_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    for name in ("os", "pathlib", "yaml", "torch", "builtins", "nnlab"):
        assert not trust.in_project(f"{name}.x")


@pytest.mark.parametrize(
    "target",
    [
        *("torch.nn.modules.module.torch.load", "torch.optim.optimizer.torch.hub.load", "torch.load", "os.system"),
        *("nnlab.data.base.torch.load", "nnlab.storage.files.write_whole", "nnlab.cli.main", "builtins.eval"),
        *("torchvision.datasets.MNIST", "hydra.utils.instantiate", "pathlib.Path", "nnlab.config.trust.grant"),
        *("torchvision.models.get_weight", "torch.nn.utils.clip_grad_norm_", "nnlab.data.download.download"),
    ],
)
def test_what_trusted_modules_re_export_and_what_is_no_component_is_refused(target: str) -> None:
    for group in (*KINDS, None):
        with pytest.raises(UserError):
            check_kind(target, group)


@pytest.mark.parametrize("group", KINDS)
def test_a_component_of_another_kind_is_refused_before_it_is_called(group: str) -> None:
    others = {"loss": "nnlab.optimizer.SGD", "activation": "nnlab.loss.Hinge", "architecture": "nnlab.loss.Hinge"}
    with pytest.raises(UserError, match=f"which `{group}` needs"):
        construct({"_target_": others.get(group, "torch.nn.ReLU")}, group)


def test_typed_nonsense_is_refused_by_kind() -> None:
    for override in ("+regularizer.x={_target_: builtins.dict}", "loss={_target_: builtins.print}"):
        with pytest.raises(UserError, match=r"which `(regularizer|loss)` needs"):
            compose(override)
    with pytest.raises(UserError, match=r"`loss._partial_`: nnlab calls"):
        compose("loss={_target_: nnlab.loss.SquaredError, _partial_: true}", "data=diabetes")


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet18"])
def test_an_attribute_wins_over_the_submodule_of_its_name(name: str) -> None:
    pytest.importorskip("torchvision")
    assert callable(check_kind(f"torchvision.models.{name}", "architecture"))


def test_positional_arguments_are_given() -> None:
    layers = [{"_target_": "torch.nn.Flatten"}, {"_target_": "torch.nn.Linear", "_args_": [2, 1]}]
    network = construct({"_target_": "torch.nn.Sequential", "_args_": layers}, "architecture")
    assert [type(layer).__name__ for layer in network] == ["Flatten", "Linear"]


MAKERS = """
from torch import nn

def network(width=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

def number():
    return 3

def rule(params):
    raise AssertionError("an optimizer is no function")
"""


@pytest.fixture
def makers(mark: Path) -> Iterator[None]:
    """Functions of one's own that do not say what they make."""
    Path("makers.py").write_text(MAKERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path.cwd()))
        yield
    sys.modules.pop("makers", None)


@pytest.mark.usefixtures("makers")
def test_a_function_that_does_not_say_what_it_makes_is_called_where_its_name_was_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ["data.limit=80", "trainer.epochs=1", "callbacks=[checkpoint]"]
    assert main(["train", *few, "architecture={_target_: makers.network, width: 4}", "name=own"]) == 0
    run = str(next(Path("outputs/own").iterdir()))
    assert f"nnlab plot {run} 'trust=[makers]'" in capsys.readouterr().out
    monkeypatch.setenv(trust.VARIABLE, "")
    assert main(["evaluate", run]) == 2  # a file names it now, and it may do anything
    assert "annotate it, or add `trust=[makers]`" in capsys.readouterr().err
    assert main(["evaluate", run, "trust=[makers]"]) == 0


@pytest.mark.usefixtures("makers")
@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("loss={_target_: makers.number}", "`makers.number` made a int, and `loss` needs a `Loss`"),
        ("architecture={_target_: makers.number}", "`makers.number` made a int, and `architecture` needs a `torch.nn"),
        ("optimizer={_target_: makers.rule}", "`makers.rule` is a function, and `optimizer` needs a class"),
    ],
)
def test_what_such_a_function_makes_is_looked_at(
    override: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "data.limit=80", "trainer.epochs=1", "callbacks=[checkpoint]", override]) == 2
    assert sentence in capsys.readouterr().err
