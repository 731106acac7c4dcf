"""A study says what its runs show: repetitions together, axes, edges, the next grid, what the seeds allow to say."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nnlab.cli import main
from nnlab.commands import study as command
from nnlab.errors import UserError
from nnlab.study.axes import Axis, study_axes, study_pairs, tied
from nnlab.study.compare import compare, holm, student_tail
from nnlab.study.curves import curves_of, over_seeds, write_curves
from nnlab.study.model import HIGHER_IS_BETTER, Study, canonical
from nnlab.study.propose import next_values, propose
from nnlab.study.read import read_study
from nnlab.study.resolution import smallest_step
from nnlab.study.tables import csv_text, headline, markdown, terminal
from nnlab.training.best import HIGHER_IS_BETTER as TRAINED


def add_run(
    folder: Path, overrides: str, accuracy: float | None = None, status: str = "completed", **more: Any
) -> Path:
    """A run directory as training leaves it; overrides are separated by spaces."""
    own = overrides.split()
    run = folder / ",".join(own).replace("/", ".")
    run.mkdir(parents=True)
    (run / "overrides.yaml").write_text("".join(f"- '{line}'\n" for line in [f"name={folder.name}", *own]))
    (run / "config.yaml").write_text(more.pop("config", "seed: 0\n"))
    metrics = {}
    if accuracy is not None:
        metrics = {s: {"loss": 1 - accuracy, "accuracy": accuracy} for s in ("train", "validation", "test")}
    result = {"status": status, "metrics": metrics, "best_step": 5, "steps": 9, "seconds": 1.5, "reason": "", **more}
    (run / "result.json").write_text(json.dumps(result))
    return run


def make_grid(folder: Path, accuracy: dict[str, float], seeds: int = 3, spread: float = 0.002) -> Study:
    """A grid whose runs with seed s lie `spread` apart around the mean."""
    for overrides, value in accuracy.items():
        for seed in range(seeds):
            add_run(folder, f"{overrides} seed={seed}", value + (seed - (seeds - 1) / 2) * spread)
    return read_study(folder)


def axis_of(study: Study, key: str) -> Axis:
    return next(axis for axis in study_axes(study) if axis.key == key)


RATES = {f"lr={rate}": value for rate, value in (("0.001", 0.8), ("0.01", 0.9), ("0.1", 0.95))}


def test_seeds_become_mean_and_standard_deviation(tmp_path: Path) -> None:
    study = make_grid(tmp_path / "s", RATES)
    assert list(study.axes) == ["lr"]
    assert study.replicates == {"seed": ["0", "1", "2"]}
    best = study.best
    assert best.values == {"lr": "0.1"}
    assert best.mean("accuracy/validation") == pytest.approx(0.95)
    assert best.std("accuracy/validation") == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"data.limit=50": 0.8, "data.limit=100": 0.9}, "`data.limit` decides"),
        (
            {"data=digits data.validation=0.1": 0.8, "data=mnist data.validation=0.2": 0.9},
            "`data.validation` and `data` decide",
        ),
    ],
)
def test_where_they_are_measured_on_other_examples_none_is_the_best_and_nothing_is_proposed(
    tmp_path: Path, values: dict[str, float], named: str
) -> None:
    study = make_grid(tmp_path, values)
    sentence = headline(study)
    assert sentence.startswith(f"None is called the best: {named}")
    assert sentence.endswith("their numbers do not compare.")
    proposal = propose(study, study_axes(study))
    assert not proposal.command
    assert not proposal.notes


def test_the_metric_that_decides_can_be_chosen_and_its_direction_is_known(tmp_path: Path) -> None:
    make_grid(tmp_path / "s", RATES, seeds=1)
    assert read_study(tmp_path / "s", "loss").best.values == {"lr": "0.1"}
    assert read_study(tmp_path / "s", "accuracy/test").metric == "accuracy/test"
    with pytest.raises(UserError, match="did you mean `accuracy/test`"):
        read_study(tmp_path / "s", "accuracy/tset")
    assert HIGHER_IS_BETTER == TRAINED


def test_equal_numbers_are_one_value_however_they_are_written(tmp_path: Path) -> None:
    add_run(tmp_path / "s", "lr=1e-3 seed=0", 0.5)
    add_run(tmp_path / "s", "lr=0.001 seed=1", 0.7)
    add_run(tmp_path / "s", "lr=0.01 seed=0", 0.6)
    study = read_study(tmp_path / "s")
    assert [canonical(value) for value in study.axes["lr"]] == ["0.001", "0.01"]
    assert len(study.configurations) == 2


def test_a_value_that_a_run_does_not_override_is_taken_from_its_config(tmp_path: Path) -> None:
    config = "seed: 0\nregularizer:\n  p: 0.5\n"
    add_run(tmp_path / "s", "seed=0", 0.5, config=config)
    add_run(tmp_path / "s", "regularizer.p=0.2 seed=0", 0.7, config=config)
    assert read_study(tmp_path / "s").axes == {"regularizer.p": ["0.2", "0.5"]}


def test_a_configuration_that_diverges_ranks_behind_sound_ones(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    add_run(folder, "lr=1 seed=0", 0.99)
    add_run(folder, "lr=1 seed=1", 0.1, "diverged")
    add_run(folder, "lr=0.1 seed=0", 0.9)
    add_run(folder, "lr=0.1 seed=1", 0.9)
    study = read_study(folder)
    assert study.best.values == {"lr": "0.1"}
    shares = {entry.label: entry.diverged_share for entry in axis_of(study, "lr").entries}
    assert shares == {"0.1": 0.0, "1": 0.5}


def test_failed_unfinished_and_damaged_runs_are_counted_and_change_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    study = make_grid(folder, RATES, seeds=2)
    before = study.best.mean(study.metric)
    add_run(folder, "lr=9 seed=0", None, "failed", reason="boom")
    (add_run(folder, "lr=9 seed=1") / "result.json").unlink()
    (add_run(folder, "lr=9 seed=2") / "result.json").write_text('{"status": "comp')
    (folder / "mean").mkdir()
    (folder / "notes.txt").write_text("nothing")
    study = read_study(folder)
    assert {status: study.count(status) for status in ("completed", "failed", "unfinished")} == {
        "completed": 6,
        "failed": 1,
        "unfinished": 2,
    }
    assert study.best.mean(study.metric) == before
    rows = list(csv.DictReader(csv_text(study).splitlines()))
    assert rows[-1]["lr"] == "9"
    assert rows[-1]["accuracy/validation"] == ""


@pytest.mark.parametrize(
    ("values", "best", "expected"),
    [
        (["0.001", "0.01", "0.1"], "0.1", ["0.01", "0.1", "1", "10"]),
        (["0.001", "0.01", "0.1"], "0.001", ["1e-05", "0.0001", "0.001", "0.01"]),
        (["0.001", "0.01", "0.1"], "0.01", ["0.0032", "0.01", "0.032"]),
        (["0.1", "0.2", "0.3"], "0.3", ["0.2", "0.3", "0.4", "0.5"]),
        (["0.1", "0.2", "0.3"], "0.1", ["0", "0.1", "0.2"]),
        (["0", "1e-5", "1e-4"], "1e-4", ["1e-5", "1e-4", "0.001", "0.01"]),
        (["0", "1e-5", "1e-4"], "0", ["0", "5e-06"]),
        (["0.9", "0.99"], "0.99", ["0.9", "0.99", "0.999", "0.9999"]),
        (["16", "32", "64"], "64", ["32", "64", "96", "128"]),
        (["1", "2", "3"], "2", ["2"]),
    ],
)
def test_the_next_values_go_beyond_an_edge_and_between_neighbours_inside(
    tmp_path: Path, values: list[str], best: str, expected: list[str]
) -> None:
    accuracy = {f"x={value}": 0.5 - 0.1 * abs(values.index(value) - values.index(best)) for value in values}
    axis = axis_of(make_grid(tmp_path / "s", accuracy), "x")
    ends = {values[0]: "low", values[-1]: "high"}
    assert axis.edge == (None if best == "0" else ends.get(best))
    assert next_values(axis) == expected


def test_a_best_value_whose_neighbours_are_as_good_is_not_refined(tmp_path: Path) -> None:
    for rate, values in {"0.01": (0.9, 0.91), "0.1": (0.91, 0.905), "1": (0.9, 0.912)}.items():
        for seed, value in enumerate(values):
            add_run(tmp_path / "s", f"lr={rate} seed={seed}", value)
    assert next_values(axis_of(read_study(tmp_path / "s"), "lr")) == ["0.1"]


def test_the_proposed_command_keeps_what_was_fixed_and_counts_only_new_runs(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "study1"
    study = make_grid(folder, {f"data.limit=300 optimizer=sgd {key}": value for key, value in RATES.items()})
    proposal = propose(study, study_axes(study))
    assert proposal.command.startswith("nnlab train -m name=study1 output_dir=")
    assert proposal.command.endswith("data.limit=300 optimizer=sgd lr=0.01,0.1,1,10 seed=0,1,2")
    assert (proposal.runs, proposal.new) == (12, 6)
    assert "`lr=0.1` lies on the upper edge" in proposal.notes[0]


def test_values_with_brackets_are_quoted_for_the_shell(tmp_path: Path) -> None:
    study = make_grid(tmp_path / "s", {"widths=[8]": 0.5, "widths=[16,16]": 0.9}, seeds=1)
    assert "'widths=[8],[16,16]'" in propose(study, study_axes(study)).command


def test_with_one_seed_more_seeds_are_proposed_once_nothing_is_on_an_edge(tmp_path: Path) -> None:
    inside = {"lr=0.001": 0.7, "lr=0.01": 0.9, "lr=0.1": 0.8}
    study = make_grid(tmp_path / "s", inside, seeds=1)
    assert propose(study, study_axes(study)).command.endswith("seed=0,1,2")
    assert "one seed" in markdown(study, study_axes(study), propose(study, study_axes(study)))


def test_of_concatenated_grids_only_the_best_one_goes_on(tmp_path: Path) -> None:
    accuracy = {"o=sgd lr=0.1": 0.5, "o=sgd lr=1": 0.9, "o=adam lr=0.001": 0.6, "o=adam lr=0.01": 0.8}
    study = make_grid(tmp_path / "s", accuracy, seeds=2)
    assert propose(study, study_axes(study)).command.endswith("lr=0.1,1,10,100 o=sgd seed=0,1")


def test_zipped_axes_are_recognised_and_kept(tmp_path: Path) -> None:
    accuracy = {"a=1 b=10": 0.5, "a=2 b=20": 0.6, "a=3 b=30": 0.7}
    study = make_grid(tmp_path / "s", accuracy)
    assert tied(study) == [{"a", "b"}]
    proposal = propose(study, study_axes(study))
    assert study_pairs(study, study_axes(study)) == []
    assert any("change together" in note for note in proposal.notes)


def test_a_search_is_told_in_parts_of_its_intervals_and_goes_on_around_its_best(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    for i in range(30):
        rate = 10 ** (-4 + 3 * i / 29)
        add_run(folder, f"lr={rate:.5g}", 0.9 - 0.1 * abs(math.log10(rate) + 2.5))
    study = read_study(folder)
    axis = axis_of(study, "lr")
    assert axis.continuous
    assert len(axis.entries) == 8
    assert sum(len(entry.runs) for entry in axis.entries) == 30
    found = propose(study, [axis]).command
    assert "name=s_next" in found
    assert "hydra/sweeper=search" in found
    assert "'lr=tag(log,interval(0.00" in found


def test_additive_axes_do_not_interact_and_crossed_ones_do(tmp_path: Path) -> None:
    rows = {f"a={a} b={b}": 0.1 * a + 0.2 * b for a in range(3) for b in range(3)}
    additive = make_grid(tmp_path / "additive", rows, seeds=1)
    [pair] = study_pairs(additive, study_axes(additive))
    assert pair.interaction == pytest.approx(0, abs=1e-12)
    assert pair.cells[1][2] == pytest.approx(0.5)
    crossed = make_grid(tmp_path / "crossed", {f"a={a} b={b}": float(a == b) for a in (0, 1) for b in (0, 1)}, seeds=1)
    [pair] = study_pairs(crossed, study_axes(crossed))
    assert pair.interaction == pytest.approx(1)


@given(st.floats(0.01, 40), st.floats(1, 60))
@settings(max_examples=60, deadline=None)
def test_students_tail_is_that_of_scipy(t: float, freedom: float) -> None:
    assert student_tail(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=2e-3)


def test_comparisons_are_those_of_scipy_paired_and_unpaired(tmp_path: Path) -> None:
    first, second = [0.9, 0.92, 0.97, 0.91], [0.88, 0.91, 0.93, 0.9]
    for seed, (a, b) in enumerate(zip(first, second, strict=True)):
        add_run(tmp_path / "paired", f"x=a seed={seed}", a)
        add_run(tmp_path / "paired", f"x=b seed={seed}", b)
        add_run(tmp_path / "unpaired", f"x=a seed={seed}", a)
        add_run(tmp_path / "unpaired", f"x=b seed={10 + seed}", b)
    for name, expected in (
        ("paired", stats.ttest_rel(first, second)),
        ("unpaired", stats.ttest_ind(first, second, equal_var=False)),
    ):
        study = read_study(tmp_path / name)
        found = compare(*study.ranked, study.metric)
        assert found.paired == (name == "paired")
        assert found.probability == pytest.approx(expected.pvalue, rel=1e-3)
        assert found.difference == pytest.approx(0.02)


def test_a_common_shift_of_all_seeds_is_told_apart_only_by_pairing(tmp_path: Path) -> None:
    seeds = [0.1, 0.5, 0.9]
    for seed, value in enumerate(seeds):
        add_run(tmp_path / "s", f"x=a seed={seed}", value)
        add_run(tmp_path / "s", f"x=b seed={seed}", value + 0.01 + 0.001 * seed)
    study = read_study(tmp_path / "s")
    assert compare(*study.ranked, study.metric).exceeds


@pytest.mark.parametrize("second_seeds", [range(3), range(3, 6)])
@pytest.mark.parametrize(("wrong", "apart"), [(1, False), (2, False), (30, True)])
def test_seeds_that_all_differ_by_the_same_few_of_72_examples_do_not_tell_them_apart(
    tmp_path: Path, second_seeds: range, wrong: int, apart: bool
) -> None:
    folder = tmp_path / "s"
    for seed in range(3):
        add_run(folder, f"lr=0.01 seed={seed}", 71 / 72)
        add_run(folder, f"lr=0.1 seed={second_seeds[seed]}", (71 - wrong) / 72)
    study = read_study(folder)
    assert study.step == pytest.approx(1 / 72)
    paired = second_seeds[0] == 0
    found = compare(*reversed(study.ranked), study.metric, study.step)
    assert found.paired == paired
    assert found.difference == pytest.approx(-wrong / 72)
    if paired:
        error = math.sqrt(wrong / 3) / 72  # of so many examples that two networks answer differently (McNemar)
        assert found.probability == pytest.approx(2 * stats.t.sf(wrong / 72 / error, 2), rel=2e-3)
        assert found.exceeds is apart
    elif not apart:
        assert found.exceeds is False
    page = markdown(study, study_axes(study), propose(study, study_axes(study)))
    for text in (page, terminal(study, propose(study, study_axes(study)))):
        assert ("real (p" in text) == bool(found.exceeds)
        assert ("The other differs" in text) == bool(found.exceeds)
    (entry,) = [each for each in axis_of(study, "lr").entries if each.comparison is not None]
    assert entry.comparison == found


def test_a_difference_larger_than_the_spread_that_two_seeds_cannot_show_is_not_called_within_it(
    tmp_path: Path,
) -> None:
    results = {"lr=0.01": (0.9, 0.962), "lr=1e-5": (0.5, 0.376), "lr=0.02": (0.95, 0.88)}
    for folder, shown in (("one", ["lr=0.01", "lr=1e-5"]), ("two", list(results))):
        for overrides in shown:
            for seed, value in enumerate(results[overrides]):
                add_run(tmp_path / folder, f"{overrides} seed={seed}", value)
    study = read_study(tmp_path / "one")
    found = compare(*reversed(study.ranked), study.metric)
    p = 2 * stats.t.sf(0.493 / 0.093, 1)  # differences -0.400 and -0.586: their standard error is 0.093
    assert found.probability == pytest.approx(p, rel=2e-3)
    assert found.verdict == f"2 seeds cannot tell them apart (p = {p:.2g})"
    text = terminal(study, propose(study, study_axes(study)))
    assert "2 seeds cannot tell the other apart from the best, though it differs by more than their spread (" in text
    study = read_study(tmp_path / "two")
    near = compare(study.ranked[1], study.ranked[0], study.metric)
    assert near.verdict.startswith("within spread (p = ")  # 0.915 of 0.931, spreads 0.05 and 0.04
    page = markdown(study, study_axes(study), propose(study, study_axes(study)))
    assert "Of the next 2, none is told apart from the best; 2 seeds cannot do so with 1, though it differs by" in page


def test_a_mean_over_classes_is_called_so_in_every_table_and_figure_of_the_page(tmp_path: Path) -> None:
    for rate, value in (("0.1", 0.9), ("0.01", 0.8)):
        metrics = {split: {"loss": 1.0, "f1": value} for split in ("train", "validation", "test")}
        add_run(tmp_path / "s", f"lr={rate} seed=0", 0.5, metrics=metrics)
    assert main(["study", str(tmp_path / "s"), "metric=f1"]) == 0
    for name in ("study.html", "study.md"):
        page = (tmp_path / "s" / name).read_text()
        assert "validation macro f1" in page
        assert "test macro f1" in page
        assert not re.search(r"(train|validation|test) f1", page)


def test_few_values_with_a_common_divisor_do_not_hide_the_number_of_examples(tmp_path: Path) -> None:
    for seed in range(3):
        for rate, accuracy in (("0.1", 1.0), ("0.01", 0.5)):
            run = add_run(tmp_path / "s", f"lr={rate} seed={seed}", accuracy)
            head = "step,epoch,learning_rate,loss/train,accuracy/validation\n"
            (run / "history.csv").write_text(f"{head}1,0.5,1,1,{141 / 200}\n2,1.0,1,1,{accuracy}\n")
    study = read_study(tmp_path / "s")
    assert study.step == pytest.approx(1 / 200)
    assert study.ranked[0].values == {"lr": "0.1"}
    assert compare(*study.ranked, study.metric, study.step).exceeds


def test_a_class_metric_steps_by_the_smallest_difference_seen_and_a_loss_by_none() -> None:
    assert smallest_step([0.95, 0.9, 0.95 + 1e-9], "f1") == pytest.approx(0.05)
    assert smallest_step([0.95, 0.9], "loss") == 0.0


@pytest.mark.parametrize("key", ["optimizer.learning_rate", "optimizer.lr", "regularizer.l1.strength", "optimizer.eps"])
@pytest.mark.parametrize(
    ("values", "best", "expected"),
    [
        (["0.003", "0.01"], "0.01", ["0.003", "0.01", "0.033", "0.11"]),
        (["0.003", "0.01"], "0.003", ["0.00027", "0.0009", "0.003", "0.01"]),
        (["0.1", "0.5"], "0.5", ["0.1", "0.5", "2.5", "12"]),
        (["1", "2"], "1", ["0.25", "0.5", "1", "2"]),
        (["0", "0.01"], "0.01", ["0", "0.01", "0.1", "1"]),
        (["0.1", "0.2", "0.4"], "0.2", ["0.14", "0.2", "0.28"]),
    ],
)
def test_what_is_varied_by_factors_is_extended_by_factors_however_close_its_values_are(
    tmp_path: Path, key: str, values: list[str], best: str, expected: list[str]
) -> None:
    accuracy = {f"{key}={value}": 0.5 - 0.1 * abs(values.index(value) - values.index(best)) for value in values}
    assert next_values(axis_of(make_grid(tmp_path / "s", accuracy), key)) == expected


def test_corrected_probabilities_never_fall_below_the_raw_ones() -> None:
    raw = [0.04, 0.001, 0.03, 0.6]
    corrected = holm(raw)
    assert all(c >= r for c, r in zip(corrected, raw, strict=True))
    assert corrected == pytest.approx([0.09, 0.004, 0.09, 0.6])


HISTORY = "step,epoch,learning_rate,loss/train,loss/validation\n1,0.5,1,{a},\n2,1.0,1,{b},{c}\n3,1.5,1,{b},\n"


def test_curves_over_seeds_have_the_mean_and_its_spread(tmp_path: Path) -> None:
    study = make_grid(tmp_path / "s", RATES, seeds=2)
    for run in study.runs:
        shift = float(run.overrides["seed"])
        text = HISTORY.format(a=3 + shift, b=1 + shift, c=0.5 + shift)
        (study.folder / run.name / "history.csv").write_text(text)
    rows = over_seeds([curves_of(study.folder / run.name) for run in study.best.completed])
    assert list(rows) == [2]
    assert rows[2]["loss/train"] == pytest.approx(2.5)
    assert rows[2]["loss/validation"] == pytest.approx(1.0)
    assert rows[2]["loss/validation_plus_std"] == pytest.approx(1.0 + math.sqrt(0.5))
    assert rows[2]["learning_rate"] == 1
    assert "learning_rate_plus_std" not in rows[2]
    folders = write_curves(study)
    assert sorted(folder.name for folder in folders) == ["lr=0.001", "lr=0.01", "lr=0.1"]
    assert write_curves(study) == []  # up to date
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folders[0])).Reload()
    assert [e.step for e in events.Scalars("loss/validation_minus_std")] == [2]
    [layout] = events.Tensors("custom_scalars__config__")
    assert sorted(band_titles(layout.tensor_proto.string_val[0])) == [
        "loss on validation over seeds",
        "training loss over seeds",
    ]


def band_titles(layout: bytes) -> dict[str, tuple[str, str, str]]:
    """The tags of value, lower and upper end by the title of the chart that shows them."""
    from tensorboard.plugins.custom_scalar import layout_pb2

    [category] = layout_pb2.Layout.FromString(layout).category
    series = {chart.title: chart.margin.series[0] for chart in category.chart}
    return {title: (each.value, each.lower, each.upper) for title, each in series.items()}


def test_the_command_writes_a_page_that_needs_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "s"
    make_grid(folder, {f"{key} o={o}": v - 0.1 * (o == "<b>") for key, v in RATES.items() for o in ("a", "<b>")})
    assert main(["study", str(folder)]) == 0
    page, text = (folder / "study.html").read_text(), capsys.readouterr().out
    assert page.count("<svg") == 3
    assert "lies on the upper edge" in page
    assert "lies on the upper edge" in text
    assert "<b></td>" not in page
    assert not any(mark in page.lower() for mark in ('src="', "<link", "@import", "url(http"))
    rows = list(csv.DictReader((folder / "study.csv").read_text().splitlines()))
    assert [row["rank"] for row in rows] == list("123456")
    assert float(rows[0]["accuracy/validation/std"]) == pytest.approx(0.002)
    assert rows[0]["folders"].count(";") == 2
    assert "| 0.1 |" in (folder / "study.md").read_text()


def test_the_end_of_a_sweep_names_the_best_and_what_to_run_next(tmp_path: Path) -> None:
    make_grid(tmp_path / "s", RATES)
    first, *lines, last = command.write(tmp_path / "s").brief.splitlines()
    assert first.startswith("Best: lr=0.1, with validation accuracy ")
    assert any(line.startswith("warning: ") and "upper edge" in line for line in lines)
    assert any(line.startswith("  nnlab train -m ") for line in lines)
    assert last == f"study: {tmp_path / 's' / 'study.html'}"


def test_an_exact_tie_has_no_best(tmp_path: Path) -> None:
    make_grid(tmp_path / "s", {"lr=0.1": 0.9, "lr=0.2": 0.9, "lr=0.3": 0.8})
    first, *_ = command.write(tmp_path / "s").brief.splitlines()
    assert first == "A tie of 2: lr=0.1; lr=0.2, all with validation accuracy 0.9 (mean of 3 runs)."
    many = make_grid(tmp_path / "many", {f"lr={rate}": 0.9 for rate in range(1, 8)})
    assert len(many.tied) == 7
    assert "and 3 more" in command.write(tmp_path / "many").brief


def test_a_tie_is_on_an_edge_only_where_all_of_it_is(tmp_path: Path) -> None:
    inside = make_grid(tmp_path / "inside", {"lr=0.1": 0.9, "lr=0.2": 0.9, "lr=0.4": 0.8})
    assert axis_of(inside, "lr").edge is None
    beside = make_grid(
        tmp_path / "beside", {"lr=0.1 p=1": 0.9, "lr=0.1 p=2": 0.9, "lr=0.4 p=1": 0.8, "lr=0.4 p=2": 0.8}
    )
    assert axis_of(beside, "lr").edge == "low"
    assert axis_of(beside, "p").edge is None


def test_optimizers_at_their_default_rates_are_named_as_that(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    for name, rate in (("sgd", 0.01), ("adam", 0.001)):
        add_run(folder, f"optimizer={name}", 0.9 + rate, config=f"optimizer:\n  learning_rate: {rate}\n")
    text = command.write(folder).brief
    assert "every optimizer ran at its default learning rate (sgd 0.01, adam 0.001)" in text
    for name in ("sgd", "adam"):
        add_run(tmp_path / "own", f"optimizer={name} optimizer.learning_rate=0.1", 0.9)
    assert "default learning rate" not in command.write(tmp_path / "own").brief


def test_one_run_and_one_configuration_make_a_page_too(tmp_path: Path) -> None:
    add_run(tmp_path / "s", "seed=0", 0.9)
    report = command.write(tmp_path / "s")
    assert "one configuration only" in terminal(report.study, report.proposal)
    assert "<svg" not in report.page.read_text()


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda folder: None, "there is no study"),
        (lambda folder: folder.mkdir(), "it holds no runs"),
        (lambda folder: add_run(folder, "lr=1", None, "failed"), "none of its 1 runs has completed"),
    ],
)
def test_a_folder_without_results_is_answered_in_one_sentence(
    tmp_path: Path, prepare: Any, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path / "s")
    assert main(["study", str(tmp_path / "s")]) == 2
    assert sentence in capsys.readouterr().err


def test_folders_that_hold_no_runs_are_not_offered_as_studies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_grid(tmp_path / "rates", RATES)
    (tmp_path / "data").mkdir()
    assert main(["study", str(tmp_path / "other")]) == 2
    assert "valid: rates" in capsys.readouterr().err


def test_reading_a_study_loads_neither_torch_nor_hydra(tmp_path: Path) -> None:
    make_grid(tmp_path / "s", RATES)
    code = (
        f"import sys; from nnlab.cli import main; main(['study', {str(tmp_path / 's')!r}]); print(sorted(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = result.stdout.splitlines()[-1]
    assert not any(f"'{name}'" in modules for name in ("torch", "hydra", "omegaconf", "scipy", "tensorboard"))
