"""Every number of every option has a range that ends, and what lies outside is refused in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from nnlab.cli import compose
from nnlab.config.checking import SUPPLIED, check
from nnlab.config.construct import range_mistakes
from nnlab.config.folder import config_folder, groups, options, primary
from nnlab.config.schema import component_mistakes, signature
from nnlab.config.values import matches
from nnlab.errors import UserError
from nnlab.validation import check_choice

# As many updates as there are, with a time limit, and rates at which a network shall diverge.
ENDLESS = {"steps", "learning_rate", "adam_rate"}
# Their constructors need the data.
LATE = ("architecture", "experiment", "hydra")


def sections() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The section of every option, with its group, and those of the primary configs."""
    ours = config_folder()
    for group in groups(ours):
        for file in options(ours, group) if not group.startswith(LATE) else ():
            section = yaml.safe_load(file.read_text(encoding="utf-8"))
            yield group, {key: "x" if value == "???" else value for key, value in section.items()}
    for name in ("train", "recipe"):
        yield from ((k, v) for k, v in primary(name, ours).values.items() if k in ("trainer", "recipe"))


def numbers() -> list[Any]:
    """Group, section and key of all that may be a number, once for each class."""
    found = {}
    for group, section in sections():
        for name, argument in signature(section["_target_"]).arguments.items():
            if matches(3, argument.hint) and not matches("x", argument.hint):
                found[f"{section['_target_']}.{name}"] = (group, section, name)
    return [pytest.param(*each, id=key) for key, each in found.items()]


@pytest.mark.parametrize(("group", "section", "name"), numbers())
@pytest.mark.parametrize("sign", [1, -1])
def test_no_option_takes_any_number_however_large(group: str, section: Mapping[str, Any], name: str, sign: int) -> None:
    changed = {**section, name: sign * 2**31}
    found = [
        *component_mistakes(changed, group, group, SUPPLIED.get(group, ())),
        *range_mistakes(changed, group, group),
    ]
    if name in ENDLESS and sign == 1:
        assert not found
    else:
        assert f"`{group}.{name}`" in found[0].sentence
        assert str(sign * 2**31) in found[0].sentence


@pytest.mark.parametrize("value", ["1e-320", "-1e-300", "1e-38"])
def test_numbers_that_single_precision_takes_for_0_are_refused(value: str) -> None:
    for key in ("optimizer.learning_rate", "trainer.time_limit", "regularizer.weight_decay.strength"):
        with pytest.raises(UserError, match=rf"`{key}` must be 0 or at least 1e-37 in size, got .* \(override"):
            compose(f"{key}={value}")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("recipe.refine_epochs=2147483648", "must be in (0, inf), and at most 1,000,000,000 in size, got 2147483648"),
        ("recipe.time_limit=1e-9", "`recipe.time_limit` must be in [0.001, inf), got 1e-09"),
        ("recipe.seeds=1", "`recipe.seeds` must be in [2, inf), got 1"),
        ("callbacks.images.most=0", "`callbacks.images.most` must be in [1, inf), got 0"),
    ],
)
def test_what_the_recipe_and_callbacks_refuse_is_said_before_anything_runs(override: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        compose(override, config_name="recipe")
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(f"(override `{override}`)")


def test_a_file_is_held_to_the_same_ranges() -> None:
    config = compose()
    config["trainer"]["validate_every"] = 2**31
    with pytest.raises(UserError, match=r"`trainer.validate_every` must be in \[1, inf\), and at most 1,000,000,000"):
        check(config)


def test_many_steps_are_taken_with_a_time_limit() -> None:
    assert compose("trainer.steps=100000000000")["trainer"]["steps"] == 10**11
    with pytest.raises(UserError, match=r"`trainer.steps` must be in \[1, 1e15\]"):
        compose("trainer.steps=10000000000000000")


def test_what_is_no_word_is_no_choice_whatever_it_is() -> None:
    with pytest.raises(UserError, match=r"`stack` must be one of auto, always, got a dict"):
        check_choice("stack", {"steps": 2}, ("auto", "always"))  # type: ignore[arg-type]
