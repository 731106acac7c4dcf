"""Data sets: tensors with their splits, limits, label noise and preprocessing, reproducible from a seed."""

from nnlab.data.arrays import Arrays
from nnlab.data.base import Source
from nnlab.data.blobs import Blobs
from nnlab.data.breast_cancer import BreastCancer
from nnlab.data.cifar10 import CIFAR10
from nnlab.data.diabetes import Diabetes
from nnlab.data.digits import Digits
from nnlab.data.fashion_mnist import FashionMNIST
from nnlab.data.heteroscedastic import Heteroscedastic
from nnlab.data.image_folder import ImageFolder
from nnlab.data.mnist import MNIST
from nnlab.data.moons import Moons
from nnlab.data.raw import Raw
from nnlab.data.spirals import Spirals
from nnlab.data.table.table import Table
from nnlab.data.xor import XOR

__all__ = [
    "CIFAR10",
    "MNIST",
    "XOR",
    "Arrays",
    "Blobs",
    "BreastCancer",
    "Diabetes",
    "Digits",
    "FashionMNIST",
    "Heteroscedastic",
    "ImageFolder",
    "Moons",
    "Raw",
    "Source",
    "Spirals",
    "Table",
]
