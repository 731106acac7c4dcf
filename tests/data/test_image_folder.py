"""Folders of images: classes, published splits, sizes and modes; unusable folders are named."""

from pathlib import Path

import pytest

from nnlab.data import ImageFolder
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
        (larger, "0.png 9 x 8 pixels; set `data.size`, such as `data.size=32`"),
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
