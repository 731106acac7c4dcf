"""Augmentation: training inputs varied in ways that do not change their class, in batches on the device."""

from nnlab.data.augmentation.affine import Affine
from nnlab.data.augmentation.base import Augmentation, augment
from nnlab.data.augmentation.elastic import Elastic
from nnlab.data.augmentation.flip import Flip
from nnlab.data.augmentation.gaussian_noise import GaussianNoise
from nnlab.data.augmentation.shift import Shift

__all__ = ["Affine", "Augmentation", "Elastic", "Flip", "GaussianNoise", "Shift", "augment"]
