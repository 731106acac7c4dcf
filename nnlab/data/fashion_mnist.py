"""Fashion-MNIST, 60,000 + 10,000 images of clothes in the format of MNIST, but harder.

Source: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from nnlab.data.mnist import MNIST


@dataclasses.dataclass(kw_only=True)
class FashionMNIST(MNIST):
    """Images (1, 28, 28) with pixels in [0, 1], ten kinds of clothing; files in `<data_root>/FashionMNIST/raw/`."""

    folder: ClassVar[str] = "FashionMNIST"
    class_names: ClassVar[tuple[str, ...]] = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
    )  # fmt: skip
    checksums: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
