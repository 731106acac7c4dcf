"""Hydra's way to nnlab's launchers and its sweeper for grids; the work is in `nnlab.sweep` and `nnlab.sweep.grid`."""
