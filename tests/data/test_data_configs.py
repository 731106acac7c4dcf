"""Every data set, preprocessing and augmentation has a YAML with exactly its constructor's arguments and defaults."""

import dataclasses
import importlib
import inspect
from pathlib import Path

import pytest
import yaml

import nnlab.data
from nnlab.data import Source
from nnlab.data.augmentation import Augmentation
from nnlab.data.preprocessing import Preprocessing

CONFIGS = Path(__file__).parents[2] / "configs" / "data"
FILES = sorted(CONFIGS.rglob("*.yaml"))
BASES = {"data": Source, "preprocessing": Preprocessing, "augmentation": Augmentation}


def target_of(content):
    module, name = content["_target_"].rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_a_config_holds_the_arguments_and_defaults_of_its_class(path):
    text = path.read_text()
    content = yaml.safe_load(text)
    content["eps"] = float(content.get("eps", 0))
    kind = target_of(content)
    assert issubclass(kind, BASES[path.parent.name])
    assert kind.__module__.rsplit(".", 1)[1] == path.stem
    parameters = inspect.signature(kind).parameters
    made = (
        {field.name: field.default_factory for field in dataclasses.fields(kind)}
        if dataclasses.is_dataclass(kind)
        else {}
    )
    for name, parameter in parameters.items():
        if name == "preprocessing":  # an option group of its own
            assert name not in content
        elif parameter.default is inspect.Parameter.empty:
            assert content[name] == "???"
        elif name == "augmentation":
            assert content[name] == {}
        elif made.get(name, dataclasses.MISSING) is not dataclasses.MISSING:
            assert content[name] == made[name]()
        else:
            default = parameter.default
            assert content[name] == (list(default) if isinstance(default, tuple) else default)
    assert set(content) - {"_target_", "eps"} <= set(parameters)
    lines = text.splitlines()
    if path.parent.name == "augmentation":
        assert lines.pop(0) == f"# @package data.augmentation.{path.stem}"
    assert lines[0].startswith("# ")


def test_every_class_has_a_config():
    classes = {
        value
        for package in (nnlab.data, nnlab.data.preprocessing, nnlab.data.augmentation)
        for value in vars(package).values()
        if isinstance(value, type) and issubclass(value, tuple(BASES.values())) and not inspect.isabstract(value)
    }
    assert classes == {target_of(yaml.safe_load(path.read_text())) for path in FILES}
