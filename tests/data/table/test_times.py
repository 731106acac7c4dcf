"""Times of another table than the training's: read in whatever way they are written, or counted and said."""

import datetime
import logging
import math
import re
from pathlib import Path

import numpy as np
import pytest

from nnlab.data.rules import ColumnRule
from nnlab.data.table.column import as_column, text_column, time_name
from nnlab.data.table.delimited import TextOptions
from nnlab.data.table.encoding import TimeEncoding
from nnlab.data.table.reading import frames

DAYS = [datetime.date(2020, 1, 5) + datetime.timedelta(days=17 * i) for i in range(30)]


def rule(pattern):
    """The rule of a training on DAYS that were written so."""
    cells = text_column("day", [f"{day:{pattern}}" for day in DAYS])
    return ColumnRule((TimeEncoding.fit(cells, pattern),), {"day": "time"})


@pytest.mark.parametrize("trained", ["%d.%m.%Y", "%Y-%m-%d", "%m/%d/%Y"])
@pytest.mark.parametrize("form", ["%d.%m.%Y", "%Y-%m-%d", "%m/%d/%Y", "%d/%m/%Y", "%Y%m%d", "%d %B %Y"])
def test_days_in_any_form_give_the_inputs_of_the_training(write, caplog, trained, form):
    caplog.set_level(logging.INFO, "nnlab")
    wanted = rule(trained).encode({"day": [f"{day:{trained}}" for day in DAYS]}).inputs
    cells = [f"{day:{form}}" for day in DAYS]
    assert rule(trained).encode({"day": cells}).inputs.equal(wanted)
    plain = form in (trained, "%Y-%m-%d", "%Y%m%d")
    assert [record.message.split(";")[0] for record in caplog.records] == (
        [] if plain else [f"times in `day` are written as {datetime.date(2024, 12, 31):{form}}"]
    )
    expected = rule(trained).expected
    path = write(["day,x", *(f"{cell},{i}.5" for i, cell in enumerate(cells))])
    pieces = list(frames(Path(path), TextOptions(expected=expected), rows=7))
    found = [rule(trained).encode(frame).inputs for frame, _ in pieces]
    assert np.concatenate(found).tolist() == wanted.tolist()


def test_a_single_iso_date_is_read_and_one_that_may_be_read_either_way_follows_the_training(caplog):
    caplog.set_level(logging.INFO, "nnlab")
    german, american = rule("%d.%m.%Y"), rule("%m/%d/%Y")
    assert german.encode({"day": ["2020-04-05"]}).inputs[0, 0] == 91
    assert not caplog.records
    assert german.encode({"day": ["5/4/2020"]}).inputs[0, 0] == 91
    assert "day and month could be the other way round" in caplog.text
    assert american.encode({"day": ["4-5-2020"]}).inputs[0, 0] == 91


def test_cells_that_are_no_times_are_counted_whatever_form_they_have():
    encoded = rule("%d.%m.%Y").encode({"day": ["05.01.2020", "week 3", None, "2020-01-06"]})
    assert encoded.unseen == {"day": 1}
    assert rule("%d.%m.%Y").encode({"day": [3, 20200106]}).unseen == {"day": 1}


def test_the_formulas_of_times_are_what_is_computed():
    moments = [datetime.datetime(2023, 1, 3, 6) + datetime.timedelta(days=17.25 * i) for i in range(40)]
    column = as_column("t", [*moments, None])
    encoding = TimeEncoding.fit(column)
    days, *waves, missing = encoding.formulas()
    assert days == f"days since 2023-01-03 06:00:00; of {time_name(encoding.median)} where it is missing"
    assert missing == "1 where it is missing, else 0"
    assert len(waves) == 6
    rows = encoding.encode(as_column("t", moments)).inputs
    for moment, row in zip(moments, rows.tolist(), strict=True):
        names = {"pi": math.pi, "sin": math.sin, "cos": math.cos, "month": moment.month, "weekday": moment.weekday()}
        names["hours"] = moment.hour + moment.minute / 60
        for words, value in zip(waves, row[1:-1], strict=True):
            formula = (
                re.sub(r"[,;].*", "", words).replace("2 pi ", "2 * pi * ").replace("hours since midnight", "hours")
            )
            assert eval(formula, names) == pytest.approx(value, abs=1e-9)
