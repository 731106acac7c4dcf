"""Hydra's way to nnlab's search with Optuna; the work is in `nnlab.sweep.search`."""
