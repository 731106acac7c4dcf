"""The JSON schema takes what nnlab takes, and refuses what editors should underline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from nnlab.cli import compose, main
from nnlab.config.folder import config_folder, groups, options
from nnlab.config.json_schema import group_schema, whole_schema

FOLDER = config_folder()
COMPONENTS = [group for group in groups(FOLDER) if not group.startswith(("hydra", "experiment", "base"))]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = whole_schema("train", FOLDER)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("group", COMPONENTS)
def test_every_option_of_nnlab_fits_the_schema_of_its_group(group: str) -> None:
    checked = Draft202012Validator(group_schema(group, FOLDER))
    for file in options(FOLDER, group):
        content = yaml.safe_load(file.read_text())
        if isinstance(content, dict) and "_target_" in content:
            content.pop("augmentation", None)
            checked.validate(content)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["data=moons", "loss=binary_cross_entropy"],
        ["regularizer=[dropout,ensemble]", "optimizer=lbfgs", "trainer.batch_size=full"],
        ["architecture=convnet", "data/augmentation=[shift]", "data/preprocessing=none"],
    ],
)
def test_composed_configs_fit(validator: Draft202012Validator, overrides: list[str]) -> None:
    validator.validate(compose(*overrides))


def test_experiment_files_fit(validator: Draft202012Validator) -> None:
    for file in options(FOLDER, "experiment"):
        validator.validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"trainer": {"epoch": 3}},
        {"trainer": {"epochs": "three"}},
        {"optimizer": {"_target_": "nnlab.optimizer.Adam", "learning_rate": "fast"}},
        {"optimizer": {"_target_": "nnlab.optimizer.Adam", "momentum": 0.9}},
        {"optimiser": {}},
        {"seed": "zero"},
    ],
)
def test_mistakes_do_not_fit(validator: Draft202012Validator, wrong: dict[str, Any]) -> None:
    assert not validator.is_valid(wrong)


def test_a_class_of_ones_own_fits_with_any_arguments(validator: Draft202012Validator) -> None:
    validator.validate({"optimizer": {"_target_": "mine.Lion", "learning_rate": 0.1, "beta": 0.9}})


def test_the_command_prints_json_and_names_the_nearest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["schema", "optimizer"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "an option of optimizer"
    assert main(["schema", "optimiser"]) == 2
    assert "`optimizer`" in capsys.readouterr().err
