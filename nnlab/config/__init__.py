"""Configs as plain dictionaries: where they live, how they are checked, compared and built."""

from nnlab.config.checking import check
from nnlab.config.comparison import difference, identity
from nnlab.config.folder import config_folder

__all__ = ["check", "config_folder", "difference", "identity"]
