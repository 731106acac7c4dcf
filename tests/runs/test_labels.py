"""`nnlab data RUN` finds planted wrong labels, says where they stand, and shows them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

import nnlab
from nnlab.cli import compose, main
from nnlab.config.build import load_dataset
from nnlab.errors import UserError
from nnlab.report.labels_page import render
from nnlab.runs.labels import rank_labels

QUICK = ["callbacks=[checkpoint]", "regularizer.weight_decay.strength=1e-4"]


@pytest.mark.slow
def test_planted_labels_are_among_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = nnlab.train("data=digits", "data.label_noise=0.06", f"output_dir={tmp_path}", *QUICK).directory
    noisy, clean = (load_dataset(compose("data=digits", f"data.label_noise={noise}")) for noise in (0.06, 0.0))
    planted = int((noisy.train.targets != clean.train.targets).sum())
    wrong = {int(i) for i in torch.nonzero(noisy.train.targets != clean.train.targets).flatten()}
    ranked = rank_labels(run)
    assert len(ranked.suspects) == 1797
    first = ranked.suspects[: round(0.05 * 1797)]
    assert planted > 50
    digits = load_dataset(compose("data=digits", "data/preprocessing=none"))
    raw = {digits.train.inputs[i].flatten().double().numpy().tobytes() for i in wrong}
    found = sum(ranked.image(each).flatten().double().numpy().tobytes() in raw for each in first)  # type: ignore[union-attr]
    assert found >= 0.9 * planted
    assert 0.8 * planted < ranked.issues < 1.5 * planted

    assert main(["data", str(run)]) == 0
    out = capsys.readouterr().out
    assert f"{ranked.issues} of 1797 labels look wrong" in out
    page = (Path(run) / "labels.html").read_text()
    assert page.count("data:image/png;base64,") == 60
    with open(Path(run) / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["where"] for row in rows] == [ranked.where(each) for each in ranked.suspects]
    assert sum(row["issue"] == "True" for row in rows) == ranked.issues
    assert main(["data", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["issues"] == ranked.issues


def test_rows_of_a_table_are_named_by_their_lines_and_shown_escaped(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    lines = ["width,<b>kind</b>,species"]
    for row in range(200):
        species = row % 2
        label = ("long", "short")[species if row not in (20, 91) else 1 - species]
        width = species * 4 + float(torch.rand(1, generator=generator))
        lines.append(f"{width:.3f},{'<i>x</i>' if species else '=y'},{label}")
    file = tmp_path / "flowers.csv"
    file.write_text("\n".join(lines) + "\n")
    run = nnlab.train(str(file), "target=species", f"output_dir={tmp_path}", "trainer.epochs=30", *QUICK).directory
    ranked = rank_labels(run)
    assert {ranked.where(each) for each in ranked.suspects[:2]} == {"line 22", "line 93"}
    assert ranked.issues == 2
    worst = ranked.suspects[0]
    assert list(ranked.cells(worst)) == ["width", "<b>kind</b>"]
    assert ranked.image(worst) is None
    page = render("<run>", ranked)
    assert "&lt;run&gt;" in page
    assert "&lt;b&gt;kind&lt;/b&gt;" in page
    assert "<b>kind</b>" not in page
    assert "<i>x</i>" not in page
    assert main(["data", str(run), f"out={tmp_path / 'found.html'}"]) == 0
    assert (tmp_path / "found.csv").exists()


def test_networks_that_have_learned_nothing_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["data=moons", "data.examples=100", "optimizer.learning_rate=1e-9", "trainer.epochs=1"]
    loss = ["loss=binary_cross_entropy", "callbacks.diagnosis.probe=false"]
    run = nnlab.train(*overrides, *loss, f"output_dir={tmp_path}").directory
    assert not rank_labels(run).informed
    assert main(["data", str(run)]) == 0
    assert "have learned too little" in capsys.readouterr().out
    assert "have learned too little" in (Path(run) / "labels.html").read_text()


def test_numbers_have_no_labels(tmp_path: Path) -> None:
    run = nnlab.train(
        "data=diabetes", "loss=squared_error", "trainer.epochs=1", f"output_dir={tmp_path}", *QUICK
    ).directory
    with pytest.raises(UserError, match="only the labels of classes can be ranked"):
        rank_labels(run)
