"""The fitted pipeline gives the network's inputs again from raw examples, also when stored as JSON and arrays."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nnlab.data import XOR, Blobs, BreastCancer, Diabetes, Digits
from nnlab.data.base import Source
from nnlab.data.pipeline import Pipeline
from nnlab.data.preprocessing import PCA, Identity, NoPreprocessing, Standardize, Whiten
from nnlab.data.raw import Raw
from nnlab.data.rules import ColumnRule, TargetRule
from nnlab.data.table.column import as_frame
from nnlab.data.table.encoding import CategoryEncoding, NumberEncoding, TimeEncoding, TruthEncoding
from nnlab.errors import UserError
from nnlab.types import Task

ROOT = Path("nowhere")


def stored_and_read(pipeline):
    """What a run folder gives back: JSON text, and arrays in a file without pickled objects."""
    file = io.BytesIO()
    np.savez(file, **pipeline.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return Pipeline.from_stored(json.loads(json.dumps(pipeline.to_json())), dict(arrays))


@pytest.mark.parametrize("preprocessing", [None, NoPreprocessing(), Standardize(), PCA(), Whiten(method="zca")])
@pytest.mark.parametrize("source", [Digits, BreastCancer, Diabetes, Blobs, XOR])
def test_a_stored_pipeline_gives_the_inputs_of_training_bit_for_bit(source, preprocessing):
    data = source(preprocessing=preprocessing)
    raw, dataset = data.read(0, ROOT), data.load(0, ROOT)
    rows = data.rows(raw, 0).train
    pipeline = stored_and_read(dataset.pipeline)
    encoded = pipeline.encode(raw.inputs[rows].numpy())
    assert torch.equal(encoded.inputs, dataset.train.inputs)
    assert encoded.unseen == {}
    assert pipeline.to_json() == dataset.pipeline.to_json()


def test_stored_targets_give_classes_by_name_and_numbers_in_their_own_units():
    classes = stored_and_read(BreastCancer().load(0, ROOT).pipeline).target
    assert classes.encode(["benign", "malignant"]).tolist() == [1, 0]
    with pytest.raises(UserError, match="`mild` is none of the classes of this run: malignant, benign"):
        classes.encode(["mild"])
    dataset = Diabetes().load(0, ROOT)
    target = stored_and_read(dataset.pipeline).target
    assert dataset.units is not None
    own_units = dataset.units.restored(dataset.test.targets)
    assert torch.allclose(target.encode(own_units.numpy()), dataset.test.targets, atol=1e-6)


def test_images_of_bytes_are_scaled_as_in_training_and_floats_are_not():
    class Photos(Source):
        def read(self, seed, root):
            return Raw(images, torch.arange(40) % 2, Task.BINARY, ("a", "b"), "photos")

    images = torch.randint(0, 256, (40, 1, 5, 5), dtype=torch.uint8)
    pipeline = stored_and_read(Photos().load(0, ROOT).pipeline)
    as_bytes = pipeline.encode(images.numpy()[:, 0]).inputs
    assert torch.equal(as_bytes, pipeline.encode(images.float() / 255).inputs)
    with pytest.raises(UserError, match=r"shape \(n, 1, 5, 5\), got \(40, 1, 6, 6\)"):
        pipeline.encode(np.zeros((40, 1, 6, 6)))


TRAIN = {
    "age": [20.0, 30.0, None, 40.0],
    "smoker": [True, False, True, True],
    "region": ["north", "south", "north", None],
    "day": np.array(["2024-03-01", "2024-03-02", "2024-04-01", "2024-05-01"], dtype="datetime64[D]"),
}


@pytest.fixture
def pipeline():
    frame = as_frame(TRAIN)
    kinds = {"age": NumberEncoding, "smoker": TruthEncoding, "region": CategoryEncoding, "day": TimeEncoding}
    encodings = tuple(kind.fit(frame.columns[name]) for name, kind in kinds.items())
    rule = ColumnRule(encodings, {name: kind.kind for name, kind in kinds.items()} | {"note": "text"})
    return stored_and_read(Pipeline(rule, Identity(), TargetRule(Task.BINARY, ("no", "yes"), "y")))


def test_columns_become_named_inputs(pipeline):
    inputs = dict(zip(pipeline.input_names, pipeline.encode(TRAIN).inputs.T.tolist(), strict=True))
    assert inputs["age"] == [20, 30, 30, 40]  # the median where it is missing
    assert inputs["age is missing"] == [0, 0, 1, 0]
    assert inputs["smoker"] == [1, 0, 1, 1]
    assert inputs["region=north"] == [1, 0, 1, 0]
    assert inputs["region=south"] == [0, 1, 0, 0]
    assert inputs["region is missing"] == [0, 0, 0, 1]
    assert inputs["day days"] == [0, 1, 31, 61]
    assert inputs["day sin(month)"] == pytest.approx([np.sin(np.pi / 3), np.sin(np.pi / 3), 1, np.sin(2 * np.pi / 3)])
    assert "day sin(weekday)" in inputs
    assert "day sin(hour)" not in inputs  # it does not vary


def test_columns_in_any_order_and_as_text_give_the_same_inputs(pipeline):
    as_text = {
        "region": ["north", "south", "north", "NA"],
        "day": ["2024-03-01", "2024-03-02", "2024-04-01", "2024-05-01"],
        "extra": [1, 2, 3, 4],
        "smoker": ["yes", "no", "TRUE", "1"],
        "age": ["20", "30.0", "", "4e1"],
    }
    assert torch.equal(pipeline.encode(as_text).inputs, pipeline.encode(TRAIN).inputs)


def test_data_frames_of_pandas_are_columns_too(pipeline):
    pandas = pytest.importorskip("pandas")
    assert torch.equal(pipeline.encode(pandas.DataFrame(TRAIN)).inputs, pipeline.encode(TRAIN).inputs)


def test_missing_columns_are_named(pipeline):
    with pytest.raises(
        UserError, match=r"lacks 2 of the 4 columns .*: `age`, `region`; it has: `smoker`, `day`, `Age`$"
    ):
        pipeline.encode({"smoker": [True], "day": ["2024-03-01"], "Age": [1]})
    with pytest.raises(UserError, match=r": `age`; it has: `smoker`, `region`, `Alter \(Jahre\)`, `day`$"):
        pipeline.encode({"smoker": [True], "region": ["x"], "Alter (Jahre)": [1], "day": ["2024-03-01"]})


def test_cells_that_training_had_nothing_like_are_counted_and_set_no_level(pipeline):
    rows = {"age": ["old", "20"], "smoker": ["maybe", "no"], "region": ["west", None], "day": ["someday", "2024-03-01"]}
    encoded = pipeline.encode(rows)
    assert encoded.unseen == {"age": 1, "smoker": 1, "region": 1, "day": 1}
    inputs = dict(zip(pipeline.input_names, encoded.inputs[0].tolist(), strict=True))
    assert [value for name, value in inputs.items() if name.startswith("region")] == [0, 0, 0]
    assert inputs["age is missing"] == 1


def test_a_category_of_many_levels_shares_inputs_among_the_rare_ones():
    words = [f"w{i}" for i in range(200) for _ in range(1 + (i < 5) * 9)]
    encoding = CategoryEncoding.fit(as_frame({"word": words}).columns["word"])
    assert len(encoding.input_names) == 50
    assert {f"word=w{i}" for i in range(5)} < set(encoding.input_names)
    encoded = encoding.encode(as_frame({"word": ["w0", "w150", "new"]}).columns["word"])
    assert encoded.inputs.sum(1).tolist() == [1, 1, 0]
    assert encoded.unseen == 1


def test_each_row_is_encoded_as_if_it_were_alone(pipeline):
    together = pipeline.encode(TRAIN).inputs
    for row in range(4):
        alone = {name: np.asarray(values)[[row]] for name, values in TRAIN.items()}
        assert torch.equal(pipeline.encode(alone).inputs[0], together[row])


@pytest.mark.parametrize("change", [lambda x: x.flip(0), lambda x: x.flip(1), lambda x: x + 1e-12])
def test_the_fingerprint_changes_with_any_value_and_with_the_order(change):
    class Altered(Diabetes):
        def read(self, seed, root):
            raw = super().read(seed, root)
            return Raw(change(raw.inputs).contiguous(), raw.targets, raw.task, raw.target_names, "elsewhere")

    assert Diabetes().load(0, ROOT).fingerprint == Diabetes().load(7, ROOT).fingerprint
    assert Altered().load(0, ROOT).fingerprint != Diabetes().load(0, ROOT).fingerprint


def test_damaged_and_foreign_pipelines_are_refused_in_a_sentence(pipeline):
    content = pipeline.to_json()
    with pytest.raises(UserError, match="the stored pipeline is damaged"):
        Pipeline.from_stored({**content, "target": {}}, {})
    with pytest.raises(UserError, match=r"prepared by `os\.system`, which is not loaded"):
        Pipeline.from_stored({**content, "transform": {"class": "os.system", "values": {}}}, {})


@pytest.mark.parametrize("rows", [slice(1, 3), [1, 2], torch.tensor([1, 2]), np.array([False, True, True, False])])
def test_rows_of_a_frame_are_taken_by_slice_position_or_mask(rows):
    part = as_frame(TRAIN)[rows]
    assert len(part) == 2
    assert part.columns["smoker"].values.tolist() == [0, 1]
    assert [part.place(row) for row in range(2)] == ["row 2", "row 3"]
