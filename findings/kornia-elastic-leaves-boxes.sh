#!/usr/bin/env bash
# kornia's RandomElasticTransform bends image and mask, and hands boxes and keypoints back where they were.
#
# Happens: in an AugmentationSequential with data_keys input, mask, bbox_xyxy and keypoints the elastic transform moves
# the image and the mask, and returns boxes and keypoints unchanged, silently. Affine and perspective transforms of the
# same container carry all four along. RandomThinPlateSpline refuses masks and leaves keypoints behind in the same way.
# Guessed: what a container of that name accepts as a data key follows the image, or is refused.
# Matters: detectors and landmark networks are trained with labels that are off by as much as the images were bent, here
# up to ten pixels of 256; the loss falls all the same, and only the accuracy at strict thresholds is lower.
# Version: kornia 0.9.0, torch 2.14.1 (about 6 GB of disk while it runs). Source: kornia/kornia issue 4420,
# kornia/augmentation/_2d/geometric/elastic_transform.py.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.14.1" "kornia==0.9.0" "numpy==2.4.6"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import kornia
import torch
from kornia.augmentation import AugmentationSequential, RandomAffine, RandomElasticTransform, RandomThinPlateSpline

size, radius = 256, 9
rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")


def disk(x, y):
    return ((columns - x) ** 2 + (rows - y) ** 2 <= radius**2).float()[None, None]


def center(image):
    weight = image[0, 0].double().clamp(min=0)
    return torch.stack([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def shifts(transform, keys=("input", "mask", "bbox_xyxy", "keypoints")):
    """Pixels by which image, mask, box and point of a disk move, and how far box and point end from the image."""
    augment = AugmentationSequential(transform, data_keys=list(keys))
    table = []
    for seed in range(20):
        torch.manual_seed(seed)
        x, y = (60 + 136 * torch.rand(2)).round().tolist()
        box = torch.tensor([[[x - radius, y - radius, x + radius, y + radius]]])
        data = {"input": disk(x, y), "mask": disk(x, y), "bbox_xyxy": box, "keypoints": torch.tensor([[[x, y]]])}
        out = dict(zip(keys, augment(*(data[key] for key in keys))))
        places = [center(out[key]) for key in ("input", "mask") if key in keys]
        if "bbox_xyxy" in keys:
            corners = torch.as_tensor(out["bbox_xyxy"][0]).double().reshape(2, 2)
            places.append(corners.mean(dim=0))
        places.append(out["keypoints"].double().reshape(2))
        moved = [(place - torch.tensor([x, y])).norm() for place in places]
        table.append(torch.stack([*moved, (places[-1] - places[0]).norm()]))
    return torch.stack(table)


print("kornia", kornia.__version__, "torch", torch.__version__)
names = ("image", "mask", "box", "point", "point from image")
measured = {
    "RandomAffine": shifts(RandomAffine(15.0, (0.05, 0.05), p=1.0)),
    "RandomElasticTransform": shifts(RandomElasticTransform(p=1.0)),
    "RandomElasticTransform alpha=4": shifts(RandomElasticTransform(alpha=(4.0, 4.0), p=1.0)),
}
for name, table in measured.items():
    print(f"{name}: moved by, mean (largest), in pixels", *(f"{key} {values.mean():.1f} ({values.max():.1f})" for key, values in zip(names, table.T)))
table = shifts(RandomThinPlateSpline(0.2, p=1.0), ("input", "keypoints"))
print("RandomThinPlateSpline: point from image, mean", round(table[:, -1].mean().item(), 1), "| point moved", round(table[:, -2].max().item(), 1))

affine, elastic = measured["RandomAffine"], measured["RandomElasticTransform alpha=4"]
assert affine[:, -1].max() < 1 < affine[:, 3].mean()
assert elastic[:, 2].max() == 0 and elastic[:, 3].max() == 0
assert elastic[:, 0].mean() > 2 and (elastic[:, 0] - elastic[:, 1]).abs().max() < 1
assert table[:, -2].max() == 0 and table[:, -1].mean() > 5
assert measured["RandomElasticTransform"][:, 3].max() == 0 < measured["RandomElasticTransform"][:, 0].mean()
PYTHON
