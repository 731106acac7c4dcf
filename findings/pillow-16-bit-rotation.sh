#!/usr/bin/env bash
# Pillow turns a 16-bit gray image into noise between 0 and 255 when it is rotated with bilinear interpolation.
#
# Happens: an uint16 array or PNG opens as mode I;16. rotate and transform (affine, perspective, extent) with BILINEAR or
# BICUBIC interpolate its bytes rather than its numbers and write the byte into the result: a smooth ramp of 20000 to
# 45200 comes back as values of 0 to 255, even from the identity map. NEAREST is right, resize is right with every filter,
# and so is the same call in mode F. ImageStat.Stat gives a mean of 117 for that ramp. Filters and ImageOps that
# cannot do the mode say so; these do not.
# Guessed: rotate interpolates as resize does, or refuses as the filters do.
# Matters: X-ray, CT, depth and microscopy images are 16-bit gray, and the geometric transforms of torchvision
# hand PIL images to exactly these calls (RandomRotation, RandomAffine, RandomPerspective with BILINEAR). The augmented
# share of the training set is noise; normalization by ImageStat is off by a factor of 280.
# Version: pillow 13.0.0, and the same in 10.4.0. Source: python-pillow/Pillow issue 1127 (closed), Pillow's list of modes,
# which calls the support of I;16 limited.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/rotate.py" <<'PYTHON'
import sys

import numpy as np
import PIL
from PIL import Image, ImageStat

rows, columns = np.mgrid[:64, :64]
ramp = (20000 + 300 * columns + 100 * rows).astype(np.uint16)
Image.fromarray(ramp).save(sys.argv[1])
image = Image.open(sys.argv[1])  # through a PNG, as a data set would store it
identity = (1, 0, 0, 0, 1, 0)
inside = slice(12, 52)


def wrong_by(call):
    """Largest difference from the same call on the image as floats, away from the border."""
    return float(np.abs(np.asarray(call(image), dtype=float) - np.asarray(call(image.convert("F"))))[inside, inside].max())


calls = {}
for name in ("NEAREST", "BILINEAR", "BICUBIC"):
    filter_ = getattr(Image.Resampling, name)
    calls["identity", name] = lambda im, filter_=filter_: im.transform(im.size, Image.Transform.AFFINE, identity, resample=filter_)
    calls["rotate by 5 degrees", name] = lambda im, filter_=filter_: im.rotate(5, filter_)
    if PIL.__version__ != "10.4.0":  # which refuses this mode
        calls["resize", name] = lambda im, filter_=filter_: im.resize((60, 60), filter_)
print("pillow", PIL.__version__, "| mode", image.mode, "| true pixels", ramp[30, 30:34].tolist())
errors = {}
for (operation, name), call in calls.items():
    errors[operation, name] = wrong_by(call)
    print(f"    {operation:20} {name:9} wrong by {errors[operation, name]:8.1f}  {np.asarray(call(image))[30, 30:34].tolist()}")
mean = ImageStat.Stat(image).mean[0]
print(f"    mean of the image {ramp.mean():.1f}, of ImageStat {mean:.1f}")
for (operation, name), error in errors.items():
    assert error > 10000 if operation != "resize" and name != "NEAREST" else error <= 400, (operation, name)  # the next pixel
assert np.asarray(calls["identity", "BILINEAR"](image)).max() <= 255 and mean < 256
PYTHON
for release in 10.4.0 13.0.0; do
    python3 -m venv "$folder/$release"
    "$folder/$release/bin/pip" install --quiet "pillow==$release" "numpy==2.4.6"
    "$folder/$release/bin/python" "$folder/rotate.py" "$folder/ramp.png"
done
