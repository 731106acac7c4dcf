"""The map of the lecture leads somewhere: its files exist, and its commands name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnlab.backprop.examples import EXAMPLES
from nnlab.cli.dispatch import COMMANDS
from nnlab.commands import experiment

MAP = Path(__file__).parents[2] / "docs" / "lecture.md"
TEXT = re.sub(r"\s+", " ", MAP.read_text())


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((\.[^)#]+|\w[^):]+)\)", TEXT))))
def test_the_map_links_to_what_exists(target: str) -> None:
    assert (MAP.parent / target).exists()


def test_the_map_names_commands_that_exist() -> None:
    named = set(re.findall(r"nnlab (\w+)", " ".join(re.findall(r"`([^`]+)`", TEXT))))
    assert named <= set(COMMANDS)


def test_every_experiment_is_on_the_map() -> None:
    named = set(re.findall(r"nnlab experiment (\w+)", TEXT)) - {"list"}
    assert named == set(experiment.experiments())


def test_every_example_graph_that_the_map_names_exists() -> None:
    named = set(re.findall(r"nnlab graph ([a-z]\w+)", TEXT))
    assert named
    assert named <= set(EXAMPLES)
