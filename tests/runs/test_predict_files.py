"""`nnlab predict` and `nnlab evaluate` on files: the same bits, columns by name, hostile names, bounded pieces."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from pathlib import Path

import numpy as np
import polars
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

import nnlab
from nnlab.cli.dispatch import main
from nnlab.data.rules import TargetRule
from nnlab.errors import UserError
from nnlab.runs import examples, other_data
from nnlab.runs.predicting import predict_file
from nnlab.runs.prediction import load
from nnlab.storage.spreadsheet import safe
from nnlab.types import Task

ROWS = 300
CITIES = ["Rome", "Oslo", "=cmd()", "<b>x</b>"]


def table(folder: Path, target: str) -> Path:
    random = np.random.default_rng(0)
    age = random.normal(40, 12, ROWS).round(1)
    city = random.choice(CITIES, ROWS)
    day = random.integers(1, 28, ROWS)
    member = random.random(ROWS) < 0.5
    label = np.where((age > 40) ^ (city == "Oslo"), "yes", "+no")
    wage = 1000 + 10 * age + 50 * member + random.normal(0, 5, ROWS)
    lines = ["id,age,city,joined,member,buys,wage"]
    for i in range(ROWS):
        cells = [f"u{i:04d}", "" if i % 17 == 0 else age[i], "NA" if i % 31 == 0 else city[i]]
        lines.append(",".join(map(str, [*cells, f"2024-03-{day[i]:02d}", member[i], label[i], f"{wage[i]:.3f}"])))
    path = folder / f"{target}.csv"
    keep = "wage" if target == "buys" else "buys"
    frame = polars.read_csv(io.StringIO("\n".join(lines)), infer_schema=False).drop(keep)
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module", params=["buys", "wage"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tables")
    path = table(folder, request.param)
    loss = "softmax_cross_entropy" if request.param == "buys" else "gaussian_nll"
    overrides = ["data=table", f"data.path={path}", f"data.target={request.param}", f"loss={loss}"]
    few = ["trainer.epochs=3", "callbacks=[checkpoint]", f"output_dir={folder}/out", "data.references=[]"]
    return nnlab.train(*overrides, *few).directory, path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_predictions_of_a_file_are_those_that_evaluate_measures(run: tuple[Path, Path], tmp_path: Path) -> None:
    directory, path = run
    predictor = load(directory)
    measured = nnlab.evaluate(directory)
    dataset = nnlab.config.build.load_dataset(dict(predictor.networks.config))
    frame = polars.read_csv(path, infer_schema=False)
    encoded = predictor.pipeline.encode(frame).inputs
    where = [int((encoded == row).all(1).nonzero()[0]) for row in dataset.test.inputs]
    out = tmp_path / "p.csv"
    predict_file(predictor, path, out, "id")
    written = rows(out)
    chosen = [written[position] for position in where]
    if predictor.classes_ is not None:
        found = np.array([[np.float32(row[f"probability {name}"]) for name in predictor.targets] for row in chosen])
        assert (found == measured.prediction.numpy()).all()
        decided = [predictor.targets[position] for position in measured.prediction.argmax(1)]
        assert [row["prediction"] for row in chosen] == [safe(name) for name in decided]
    else:
        values, std = predictor.in_units(measured.prediction)
        assert (np.array([float(row["prediction"]) for row in chosen]) == values[:, 0]).all()
        assert (np.array([float(row["std"]) for row in chosen]) == std[:, 0]).all()
    frame[where].write_csv(tmp_path / "test.csv")
    predict_file(predictor, tmp_path / "test.csv", out, "id")
    assert rows(out) == chosen


def test_columns_are_taken_by_name_in_any_order_and_missing_ones_named(run: tuple[Path, Path], tmp_path: Path) -> None:
    directory, path = run
    frame = polars.read_csv(path, infer_schema=False)
    frame[frame.columns[::-1]].write_csv(tmp_path / "reversed.csv")
    assert (nnlab.predict(directory, tmp_path / "reversed.csv") == nnlab.predict(directory, path)).all()
    assert (nnlab.predict(directory, frame) == nnlab.predict(directory, path)).all()
    frame.drop("city", "age").write_csv(tmp_path / "less.csv")
    with pytest.raises(UserError, match=r"lacks 2 of the 4 columns .*: `age`, `city`; it has: `"):
        nnlab.predict(directory, tmp_path / "less.csv")
    for name, what in ((".", "a folder"), ("x.png", "an image")):
        (tmp_path / "x.png").touch()
        with pytest.raises(
            UserError, match=f"is {what}; this run takes a file with the columns age, city, joined, mem"
        ):
            nnlab.predict(directory, tmp_path / name)


def test_evaluate_takes_a_split_or_a_file_as_its_second_word(
    run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory, path = run
    polars.read_csv(path, infer_schema=False)[:50].write_csv(tmp_path / "new.csv")
    for word, said in (
        ("train", "train ("),
        (str(tmp_path / "new.csv"), f"all of {tmp_path / 'new.csv'} (50 examples)"),
    ):
        assert main(["evaluate", str(directory), word]) == 0
        assert said in capsys.readouterr().out
    assert main(["evaluate", str(directory), "validtion"]) == 2
    assert "there is neither a split nor a file `validtion`; did you mean `validation`" in capsys.readouterr().err


def test_pieces_do_not_change_what_is_written(
    run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, path = run
    predictor = load(directory)
    polars.read_csv(path, infer_schema=False)[:200].write_csv(tmp_path / "other.csv")
    predict_file(predictor, path, tmp_path / "whole.csv", "id")
    measured = nnlab.evaluate(directory, data=tmp_path / "other.csv")
    monkeypatch.setattr(examples, "ROWS", 37)
    assert predict_file(predictor, path, tmp_path / "pieces.csv", "id").rows == ROWS
    assert (tmp_path / "pieces.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    again = nnlab.evaluate(directory, data=tmp_path / "other.csv")
    assert again.metrics == measured.metrics
    assert torch.equal(again.prediction, measured.prediction)
    assert torch.equal(again.targets, measured.targets)


@pytest.mark.parametrize(("numbers", "count"), [(10, 1 << 16), (784, 5 * 1024), (3 * 224 * 224, 4 * 6), (10**8, 1)])
def test_pieces_are_few_examples_where_these_are_large(numbers: int, count: int) -> None:
    assert examples._together(numbers) == count


def test_standard_input_and_output_and_what_was_never_seen(
    run: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    directory, path = run
    text = path.read_text().replace("Oslo", "Paris")
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    with os.fdopen(reading) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert main(["predict", str(directory), "-", "id=city"]) == 0
    out, err = capfdbinary.readouterr()
    assert out.decode().splitlines()[0].startswith("city,prediction,")
    assert len(out.splitlines()) == ROWS + 1
    assert f"note: column `city`: {text.count('Paris')} of {ROWS} cells hold what training never saw" in err.decode()
    starts = [line[:1] for line in out.decode().splitlines()[1:]]
    assert "=" not in starts  # a formula
    assert "'" in starts


def test_wrong_questions_are_answered_in_a_sentence(run: tuple[Path, Path], tmp_path: Path) -> None:
    directory, path = run
    predictor = load(directory)
    with pytest.raises(UserError, match=r"there is no file `.*bus.csv`"):
        predict_file(predictor, path.with_name("bus.csv"))
    with pytest.raises(UserError, match=r"no column `idd` \(`id`\); did you mean `id`"):
        predict_file(predictor, path, tmp_path / "p.csv", "idd")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"`out` must end in .csv or .tsv"):
        predict_file(predictor, path, tmp_path / "p.xls")
    with pytest.raises(UserError, match="`out` is the file that is read"):
        predict_file(predictor, path, path)


def test_other_data_are_measured_as_a_whole_and_own_data_elsewhere_keep_their_splits(
    run: tuple[Path, Path], tmp_path: Path
) -> None:
    directory, path = run
    elsewhere = tmp_path / "moved.csv"
    elsewhere.write_bytes(path.read_bytes())
    assert nnlab.evaluate(directory, data=elsewhere).metrics == nnlab.evaluate(directory).metrics
    frame = polars.read_csv(path, infer_schema=False)
    unknown = polars.when(polars.col("id") == "u0003").then(None).otherwise(polars.col(path.stem))
    part = frame[:50].with_columns(unknown.alias(path.stem))
    part.write_csv(tmp_path / "part.csv")
    found = nnlab.evaluate(directory, data=tmp_path / "part.csv")
    assert (len(found.targets), found.what) == (49, f"all of {tmp_path / 'part.csv'}")
    assert torch.equal(found.prediction[:3], load(directory).combined(load(directory).pipeline.encode(part[:3]).inputs))
    frame[:1].write_csv(tmp_path / "one.csv")
    single = nnlab.evaluate(directory, data=tmp_path / "one.csv")
    assert "(1 example)" in single._repr_html_()
    assert "loss" in single.defined()
    assert not any(np.isnan(value) for value in single.defined().values())
    assert ("auroc" in single.metrics) == (path.stem == "buys")
    assert "auroc" not in single.defined()
    with pytest.raises(UserError, match="has no test split"):
        nnlab.evaluate(directory, "test", data=tmp_path / "part.csv")
    frame[:20].drop(path.stem).write_csv(tmp_path / "less.csv")
    with pytest.raises(UserError, match=f"has no target `{path.stem}` to measure with"):
        nnlab.evaluate(directory, data=tmp_path / "less.csv")


@pytest.mark.parametrize("change", ["another order", "another dialect and a part"])
def test_rows_that_a_run_was_trained_on_are_known_however_they_are_written(
    run: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    directory, path = run
    frame = polars.read_csv(path, infer_schema=False)
    elsewhere = tmp_path / "t.csv"
    if change == "another order":
        frame[::-1].select(frame.columns[::-1]).write_csv(elsewhere)
    else:
        frame[:60].write_csv(elsewhere, separator=";")
    nnlab.evaluate(directory, data=elsewhere)
    found = re.search(r"t\.csv: (\d+) of (\d+) examples are among those that the run was trained on", caplog.text)
    assert found is not None
    assert int(found[1]) == pytest.approx(0.72 * int(found[2]), rel=0.15)
    caplog.clear()
    frame.with_columns(age=polars.col("age").cast(polars.Float64) + 0.5).write_csv(elsewhere)
    nnlab.evaluate(directory, data=elsewhere)
    assert "was trained on" not in caplog.text


def test_arrays_and_images_are_predicted_too(tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for name, color in (("dark", 40), ("light", 200)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            pixels = (color + random.integers(-30, 30, (8, 8, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")
    few = ("trainer.epochs=8", "callbacks=[checkpoint]", f"output_dir={tmp_path}/out")
    directory = nnlab.train("data=image_folder", f"data.path={tmp_path}/images", *few).directory
    summary = predict_file(load(directory), tmp_path / "images", tmp_path / "p.csv")
    written = rows(tmp_path / "p.csv")
    assert summary.rows == 24
    assert [row["file"].split("/")[0] == row["prediction"] for row in written].count(True) >= 22
    first = written[0]
    assert nnlab.predict(directory, tmp_path / "images" / first["file"]).tolist() == [first["prediction"]]
    pixels = np.stack([np.asarray(Image.open(tmp_path / "images" / row["file"])) for row in written])
    np.savez(tmp_path / "arrays.npz", pictures=pixels.transpose(0, 3, 1, 2))
    assert nnlab.predict(directory, tmp_path / "arrays.npz").tolist() == [row["prediction"] for row in written]
    with pytest.raises(UserError, match="this run takes images"):
        nnlab.predict(directory, table(tmp_path, "buys"))


def test_evaluate_shows_precision_recall_and_f1_of_each_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path, "buys")
    path.write_text(path.read_text().replace("yes", "[/red]yes"))  # a name that a terminal could take for markup
    given = ["data=table", f"data.path={path}", "data.target=buys", "loss=softmax_cross_entropy", "data.references=[]"]
    directory = nnlab.train(*given, "trainer.epochs=3", "callbacks=[checkpoint]", f"output_dir={tmp_path}/o").directory
    found = nnlab.evaluate(directory)
    expected = precision_recall_fscore_support(found.targets, found.prediction.argmax(1))
    for position, name in enumerate(found.names):
        assert list(found.by_class()[name].values()) == pytest.approx([column[position] for column in expected])
    capsys.readouterr()
    assert main(["evaluate", str(directory)]) == 0
    shown = capsys.readouterr().out
    assert "each class" in shown
    assert f"macro f1 {found.metrics['f1']:.4f}" in shown
    assert "[/red]yes" in shown


def test_numbers_in_another_unit_are_asked_about(
    run: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, path = run
    days = polars.read_csv(path, infer_schema=False).with_columns(polars.col("age").cast(polars.Float64) * 365)
    days.write_csv(tmp_path / "days.csv")
    days.head(4).write_csv(tmp_path / "few.csv")
    monkeypatch.setattr(examples, "ROWS", 64)
    asked = r"column `age`: most numbers are near 14\d00, and near [34]\d\S* in training: another unit\?"
    predictor = load(directory)
    lines = {
        name: [line for line in predict_file(predictor, source, tmp_path / "p.csv").sentences() if "unit?" in line]
        for name, source in (("days", tmp_path / "days.csv"), ("few", tmp_path / "few.csv"), ("same", path))
    }
    assert not lines["few"] + lines["same"]
    assert re.fullmatch(asked, *lines["days"])
    nnlab.evaluate(directory, data=tmp_path / "days.csv")
    assert any(re.search(asked, message) for message in caplog.messages)


def test_a_folder_of_splits_is_named_where_classes_are_measured(tmp_path: Path) -> None:
    for name in ("train", "Test"):
        (tmp_path / "photos" / name / "cat").mkdir(parents=True)
    rule = TargetRule(Task.BINARY, ("cat", "dog"))
    with pytest.raises(UserError, match=r"photos holds splits, Test, train, and no classes; give one, .*photos/train$"):
        other_data.check_classes(tmp_path / "photos", rule)
    other_data.check_classes(tmp_path / "photos" / "Test", rule)
    other_data.check_classes(tmp_path / "photos", TargetRule(Task.BINARY, ("Test", "dog")))
