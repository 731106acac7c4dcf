"""Folders of images: classes, published splits, sizes and modes; unusable folders are named."""

from pathlib import Path

import pytest
import torch

import nnlab
from nnlab.config.network_size import check_size
from nnlab.data import ImageFolder
from nnlab.data.images import decode, paths_below
from nnlab.data.pipeline import Pipeline
from nnlab.errors import UserError
from nnlab.types import Task

COLOURS = {"ant": (255, 0, 0), "bee": (0, 255, 0), "cow": (0, 0, 255)}


def write_images(folder, classes=COLOURS, count=6, size=(8, 8), suffix=".png"):
    from PIL import Image

    for name, colour in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", size, colour).save(folder / name / f"{i}{suffix}")
    return folder


def images(path, **options):
    return ImageFolder(path=str(path), **options).read(0, Path("nowhere"))


def test_folders_are_classes_and_files_images(tmp_path):
    raw = images(write_images(tmp_path))
    assert raw.target_names == ("ant", "bee", "cow")
    assert raw.targets.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert raw.inputs.shape == (18, 3, 8, 8)
    assert (raw.inputs.argmax(1) == raw.targets[:, None, None]).all()
    assert raw.test is None
    assert images(tmp_path, grayscale=True).inputs.shape == (18, 1, 8, 8)
    assert len(ImageFolder(path=tmp_path.name).load(0, tmp_path.parent).test) == 4


def test_two_folders_are_a_binary_task(tmp_path):
    assert images(write_images(tmp_path, {"no": (0, 0, 0), "yes": (9, 9, 9)})).task is Task.BINARY


def test_train_and_test_folders_are_published_splits(tmp_path):
    write_images(tmp_path / "train")
    write_images(tmp_path / "test", {"bee": COLOURS["bee"]}, count=3)
    raw = images(tmp_path)
    assert len(raw.inputs) == 18
    assert raw.test[0].shape == (3, 3, 8, 8)
    assert raw.test[1].tolist() == [1, 1, 1]


def test_images_are_scaled_and_cut_to_a_square(tmp_path):
    write_images(tmp_path, count=3, size=(20, 10))
    write_images(tmp_path, count=6, size=(7, 9), suffix=".bmp")
    raw = images(tmp_path, size=5)
    assert raw.inputs.shape == (27, 3, 5, 5)
    assert (raw.inputs.argmax(1) == raw.targets[:, None, None]).all()


def test_gray_alpha_and_palette_images_become_colours(tmp_path):
    from PIL import Image

    write_images(tmp_path)
    for i, mode in enumerate(("L", "RGBA", "P", "1")):
        Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode).save(tmp_path / "ant" / f"white{i}.png")
    assert images(tmp_path).inputs.shape == (22, 3, 8, 8)


def cut_off(folder):
    path = folder / "bee" / "1.png"
    path.write_bytes(path.read_bytes()[:40])


def larger(folder):
    write_images(folder, {"cow": (1, 1, 1)}, count=1, size=(9, 8))


def odd_test(folder):
    write_images(folder / "train")
    write_images(folder / "test", {"ant": (0, 0, 0), "dog": (1, 1, 1)})


def large_test(folder):
    write_images(folder / "train")
    write_images(folder / "test", size=(9, 9))


def empty(folder):
    for path in folder.rglob("*.png"):
        path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut_off, "bee/1.png ("),
        (lambda folder: (folder / "ant" / "0.png").write_text("text"), "cannot read the image "),
        (larger, "0.png has 8 x 8 and "),
        (larger, "0.png 9 x 8 pixels; set `data.size` to bring them to one size, such"),
        (empty, "has no images; it needs files"),
        (odd_test, "test has the class `dog`, which"),
        (large_test, "set `data.size` to bring them to one size"),
    ],
)
def test_unusable_image_folders_are_named(tmp_path, change, message):
    if change not in (odd_test, large_test):
        write_images(tmp_path)
    change(tmp_path)
    with pytest.raises(UserError) as error:
        images(tmp_path)
    assert message in str(error.value)


def test_folders_without_classes_and_missing_folders_are_named(tmp_path):
    with pytest.raises(UserError, match="has 0 class folders; it needs one folder for each of at least two classes"):
        images(tmp_path)
    with pytest.raises(UserError, match=r"`data\.path` must be a folder with one folder for each class, got .*nothing"):
        images(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"`size` must be in \[1, inf\), got 0"):
        ImageFolder(path=".", size=0)


def one_of_each(folder, image, name="odd.png", **options):
    """The folder's pixels for one image among ordinary ones, (K, H, W)."""
    write_images(folder)
    image.save(folder / "ant" / name, **options)
    raw = images(folder)
    names = sorted(path.name for path in (folder / "ant").iterdir())
    return raw.inputs[names.index(name)]


def test_a_photograph_is_turned_as_the_camera_was_held(tmp_path):
    from PIL import Image

    upright = Image.new("RGB", (8, 8), (0, 0, 0))
    upright.paste((255, 255, 255), (0, 0, 8, 4))  # white above
    exif = upright.getexif()
    exif[0x0112] = 3  # held upside down
    pixels = one_of_each(tmp_path, upright, exif=exif)
    assert (pixels[:, 4:] == 255).all()
    assert (pixels[:, :4] == 0).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_before_white(tmp_path, mode):
    from PIL import Image

    clear = Image.new("RGB", (8, 8), (200, 0, 0)).quantize(4) if mode == "P" else Image.new(mode, (8, 8), 0)
    options = {"transparency": 0} if mode == "P" else {}
    assert (one_of_each(tmp_path, clear, **options) == 255).all()


def ramp(depth):
    """An image (64, 64) whose values go from the lowest to the highest of a depth."""
    import numpy as np
    from PIL import Image

    values = {"16 bits": np.linspace(0, 65535, 4096).round().astype(np.uint16)}
    values["floats"] = np.linspace(-3, 700, 4096, dtype=np.float32)
    values["unit"] = np.linspace(0, 1, 4096, dtype=np.float32)
    return Image.fromarray(values[depth].reshape(64, 64))


@pytest.mark.parametrize("depth", ["16 bits", "floats", "unit"])
@pytest.mark.parametrize("size", [None, 16])
def test_deep_images_are_scaled_and_not_clipped(tmp_path, depth, size):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(10):
            ramp(depth).save(tmp_path / name / f"{i}.tiff")
    dataset = ImageFolder(path=str(tmp_path), size=size, preprocessing=None).load(0, Path("nowhere"))
    pixels = dataset.train.inputs
    assert -1e-6 <= float(pixels.min()) < 0.1
    assert 0.9 < float(pixels.max()) <= 1 + 1e-6
    assert len(pixels[0].unique()) > 200
    stored = Pipeline.from_stored(dataset.pipeline.to_json(), dataset.pipeline.arrays())
    raw = images(tmp_path, size=size).inputs
    assert torch.equal(stored.encode(raw[:1]).inputs, dataset.pipeline.encode(raw[:1]).inputs)
    assert ((stored.encode(raw).inputs >= -1e-6) & (stored.encode(raw).inputs <= 1 + 1e-6)).all()


@pytest.mark.parametrize(("name", "position"), [("ant/-first.tiff", 0), ("bee/last.tiff", -1)])
def test_images_of_different_depth_come_to_one_scale(tmp_path, name, position):
    write_images(tmp_path, {"ant": (255, 255, 255), "bee": (0, 0, 0)}, size=(64, 64))
    ramp("16 bits").save(tmp_path / name)
    inputs = images(tmp_path).inputs
    assert inputs.dtype == torch.float32
    assert float(inputs.max()) == 1
    assert sorted(set(inputs.mean((1, 2, 3)).round(decimals=3).tolist())) == [0, 0.5, 1]
    assert 0.4 < float(inputs[position].mean()) < 0.6


@pytest.mark.parametrize("suffix", [".jfif", ".JPG", ".Jpeg"])
def test_suffixes_in_any_spelling_are_images(tmp_path, suffix):
    from PIL import Image

    write_images(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "ant" / f"x{suffix}", format="JPEG")
    assert len(images(tmp_path).inputs) == 19


@pytest.mark.parametrize(
    "names", [("Train", "Val", "TEST"), ("training", "valid", "testing"), ("TRAIN", "validation", "Test")]
)
def test_splits_in_any_spelling_are_all_used(tmp_path, names):
    for name, count in zip(names, (6, 2, 3), strict=True):
        write_images(tmp_path / name, count=count)
    dataset = ImageFolder(path=str(tmp_path)).load(0, Path("nowhere"))
    assert dataset.target_names == ("ant", "bee", "cow")
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (18, 6, 9)


def test_without_a_test_folder_the_test_split_comes_from_training(tmp_path):
    write_images(tmp_path / "train", count=10)
    write_images(tmp_path / "val", count=2)
    dataset = ImageFolder(path=str(tmp_path)).load(0, Path("nowhere"))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (24, 6, 6)
    assert dataset.test.targets.bincount().tolist() == [2, 2, 2]


def test_hidden_files_are_skipped_and_others_counted(tmp_path, caplog):
    write_images(tmp_path)
    (tmp_path / "__MACOSX" / "ant").mkdir(parents=True)
    for name in ("__MACOSX/ant/._0.png", "ant/._1.png", "ant/.DS_Store", "ant/Thumbs.db"):
        (tmp_path / name).write_bytes(b"not an image")
    (tmp_path / ".cache").mkdir()
    for name in ("ant/readme.txt", "bee/labels.txt", "bee/data.xml"):
        (tmp_path / name).write_text("text")
    raw = images(tmp_path)
    assert (raw.target_names, len(raw.inputs)) == (("ant", "bee", "cow"), 18)
    assert "3 files are no images and left out: 2 .txt, 1 .xml" in caplog.text


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("train/ant", "train/bee", "Train/ant"), "has two folders for one split, `Train` and `train`; join them"),
        (("val/ant", "val/bee", "test/ant"), "but no folder `train`"),
    ],
)
def test_folders_of_splits_that_say_nothing_clear_are_refused(tmp_path, folders, message):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(UserError, match=message):
        images(tmp_path)


def test_an_empty_class_folder_is_refused(tmp_path):
    write_images(tmp_path)
    (tmp_path / "dog").mkdir()
    with pytest.raises(UserError, match="the class folder `dog` holds no images"):
        images(tmp_path)


def test_large_photographs_are_warned_about_and_too_many_refused(tmp_path, caplog, monkeypatch):
    write_images(tmp_path, count=2, size=(3000, 2000))
    monkeypatch.setattr("nnlab.data.decoding.free_memory", lambda _device: 1e8)
    with pytest.raises(UserError, match=r"6 images such as .* take 0.4 GB, more than is free; set `data.size`"):
        images(tmp_path)
    monkeypatch.undo()
    assert images(tmp_path, size=8).inputs.shape == (6, 3, 8, 8)
    assert "data.size=128" not in caplog.text
    images(tmp_path)
    assert "have 3000 x 2000 pixels, 18.0 million numbers each; `data.size=128` scales them" in caplog.text


def test_layers_that_are_too_wide_for_small_images_are_not_put_down_to_the_images() -> None:
    with pytest.raises(UserError, match=r"has 75,\d{3},\d{3},\d{3} parameters, .* are free: choose smaller layers"):
        nnlab.train("data=digits", "architecture.widths=[1000000000]")


def test_a_network_of_billions_of_weights_is_refused_before_they_are_made(tmp_path, monkeypatch, caplog):
    write_images(tmp_path / "photos", {"no": (0, 0, 0), "yes": (9, 9, 9)}, 4, (3000, 2000), ".jpg")
    given = ("data=image_folder", f"data.path={tmp_path}/photos", "data.grayscale=true", f"output_dir={tmp_path}/out")
    with pytest.raises(
        UserError, match=r"has \d,\d{3},\d{3},\d{3} parameters, .*: scale the images with `data.size=64`"
    ):
        nnlab.train(*given, "architecture.widths=[500]")
    assert not list((tmp_path / "out").glob("*/*"))
    monkeypatch.setattr("nnlab.config.network_size.construct", lambda *_args, **_more: torch.nn.Linear(6_000_000, 50))
    check_size({}, {"input_shape": (1, 2000, 3000)})
    assert "the network has 300,000,050 parameters on inputs of 1 x 2000 x 3000: scale the images" in caplog.text


def test_a_link_to_itself_hides_no_other_files(tmp_path):
    for name in ("a", "c"):
        (tmp_path / f"{name}.png").touch()
    (tmp_path / "b.png").symlink_to("b.png")
    assert paths_below(tmp_path) == [str(tmp_path / "a.png"), str(tmp_path / "c.png")]


def test_a_file_that_is_no_image_is_named_without_what_python_calls_it(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image at all")
    with pytest.raises(UserError, match=r"cannot read the image .*broken\.png \(its content is of no known format\);"):
        decode(path, None, False)
