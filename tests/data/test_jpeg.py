"""JPEGs have the bits that PIL gives, whoever decodes them."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageOps

from nnlab.data.images import decode

PHOTOGRAPH = Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 5, 3), dtype=np.uint8)).resize((50, 41))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("grayscale", [False, True])
@pytest.mark.parametrize("size", [None, 20])
@pytest.mark.parametrize("options", [{"quality": 30}, {"subsampling": 0}, {"progressive": True}, {"subsampling": 1}])
def test_jpegs_have_the_bits_of_pil(tmp_path: Path, mode, grayscale, size, options):
    path = tmp_path / "a.jpg"
    PHOTOGRAPH.convert(mode).save(path, **options)
    image = Image.open(path).convert("L" if grayscale else "RGB")
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    expected = np.asarray(image)
    expected = expected[None] if grayscale else expected.transpose(2, 0, 1)
    assert np.array_equal(decode(path, size, grayscale), expected)


@pytest.mark.parametrize("grayscale", [False, True])
def test_a_torchvision_that_decodes_no_images_changes_no_bit(tmp_path: Path, grayscale, monkeypatch):
    PHOTOGRAPH.save(tmp_path / "a.jpg")
    before = decode(tmp_path / "a.jpg", None, grayscale)
    monkeypatch.setitem(sys.modules, "torchvision.io", ModuleType("torchvision.io"))
    assert np.array_equal(decode(tmp_path / "a.jpg", None, grayscale), before)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpegs_are_turned_as_the_camera_was_held(tmp_path: Path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    PHOTOGRAPH.save(content, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(content.getvalue())
    expected = np.asarray(ImageOps.exif_transpose(Image.open(content))).transpose(2, 0, 1)
    assert np.array_equal(decode(tmp_path / "a.jpg", None, False), expected)
