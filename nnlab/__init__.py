"""nnlab: train neural networks the way a good lecture teaches it."""

__version__ = "0.1.0"
