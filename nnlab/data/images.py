"""One image file as numbers, as people have them: turned as the camera was held, without transparency, of any depth."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nnlab.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)
JPEG = b"\xff\xd8\xff"  # how such files begin
HIDDEN = (".", "__MACOSX")  # how the names of files begin that nobody has put there
NOT_OURS = ("thumbs.db", "desktop.ini")
DEEP = {"I;16": 65535.0, "I;16B": 65535.0, "I;16L": 65535.0, "I;16N": 65535.0, "I": None, "F": None}


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a file below `folder` is one that an operating system or a program has left there."""
    parts = path.relative_to(folder).parts
    return any(part.startswith(HIDDEN) for part in parts) or path.name.lower() in NOT_OURS


def files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images directly or deeper below `folder`, sorted by name, and other files, hidden ones left out."""
    present = [Path(path) for path in paths_below(folder)]
    images = [path for path in present if path.suffix.lower() in SUFFIXES]
    return images, [path for path in present if path.suffix.lower() not in SUFFIXES]


def paths_below(folder: Path) -> list[str]:
    """All files that somebody has put there, sorted by the names along their paths; links to folders are not followed.

    As text, because of tens of thousands of files a `Path` each takes longer than finding them. A link that leads
    nowhere, or to itself, is no file.
    """
    found, waiting = [], [str(folder)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name.startswith(HIDDEN):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.name.lower() not in NOT_OURS and _is_file(entry):
                    found.append(entry.path)
    return sorted(found, key=lambda path: os.path.normcase(path).replace(os.sep, "\0"))


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder is a file; only of a link, which may lead to itself, the system is asked."""
    return os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file()


def decode(path: Path, size: int | None, grayscale: bool) -> npt.NDArray[Any]:
    """One image, (3, H, W) or (1, H, W), brought to `size` x `size` if it is given.

    Bytes stay bytes. Images of 16 bits become float32 in [0, 1]; of 32 bits, or of floating point, float32 as they are.

    Raises:
        UserError: the file is no image, is cut off, or is too large.
    """
    return decode_content(content_of(path), path, size, grayscale)


def content_of(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise UserError(f"cannot read the image {path} ({error.strerror or error})") from error


def decode_content(content: bytes, path: Path, size: int | None, grayscale: bool) -> npt.NDArray[Any]:
    """As `decode`, from the content of a file."""
    if content.startswith(JPEG) and (pixels := _decode_jpeg(content, size, grayscale)) is not None:
        return pixels
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as file:
            turned = ImageOps.exif_transpose(file)
            image = _deep(turned) if turned.mode in DEEP else _opaque(turned).convert("L" if grayscale else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        why = "its content is of no known format" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(f"cannot read the image {path} ({why}); repair or remove it") from error
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    if pixels.ndim == 3:
        return pixels.transpose(2, 0, 1)
    return pixels[None] if grayscale else np.repeat(pixels[None], 3, 0)


def _decode_jpeg(content: bytes, size: int | None, grayscale: bool) -> npt.NDArray[np.uint8] | None:
    """The bits that PIL gives, sooner; None for what is damaged, has four channels, or is scaled or made grey."""
    import torch

    try:
        from torchvision.io import decode_jpeg
    except ImportError:  # torchvision 0.29 announces that it will leave decoding to others
        return None
    try:
        image = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), apply_exif_orientation=True)
    except RuntimeError:
        return None
    channels, height, width = image.shape
    if channels == 4 or (channels == 3 and grayscale) or size not in (None, height) or size not in (None, width):
        return None
    pixels: npt.NDArray[np.uint8] = image.numpy()
    return pixels if channels == 3 or grayscale else np.repeat(pixels, 3, 0)


def _deep(image: Image.Image) -> Image.Image:
    """An image of more than 8 bits as one of floating point; 16 bits are scaled to [0, 1]."""
    from PIL import Image

    numbers = np.asarray(image).astype(np.float32)
    largest = DEEP[image.mode]
    return Image.fromarray(numbers if largest is None else numbers / np.float32(largest))


def _opaque(image: Image.Image) -> Image.Image:
    """An image before white, where it is transparent."""
    from PIL import Image

    if "transparency" not in image.info and image.mode not in ("RGBA", "LA", "PA", "La", "RGBa"):
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer)
