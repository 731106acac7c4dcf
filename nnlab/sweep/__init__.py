"""Sweeps: jobs named by their overrides, grouped into populations, resumed, retried, and kept in a table.

Nothing here knows a config or Hydra: a sweep receives the function that trains a list of jobs.
"""
