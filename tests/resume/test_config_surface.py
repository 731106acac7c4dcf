"""Whatever valid overrides are combined trains; whatever mistake is made is answered with one sentence."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from surface import Mistake, check_refused, check_valid, mistakes, valid

from nnlab.config.schema import signature

# The same examples each time: new ones are for the script `benchmarks/config_surface.py`.
HUNDRED = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@HUNDRED
@given(valid())
@pytest.mark.slow
def test_valid_overrides_train_two_steps(overrides: list[str]) -> None:
    check_valid(overrides)


@HUNDRED
@given(mistakes())
@pytest.mark.slow
def test_a_mistake_is_refused_with_one_sentence_that_names_it(mistake: Mistake) -> None:
    check_refused(mistake)


def test_types_are_known_beside_annotations_that_only_type_checkers_resolve() -> None:
    arguments = signature("nnlab.data.Digits").arguments
    assert arguments["limit"].hint == int | None
    assert arguments["label_noise"].hint is float
