"""Tables as read and as prepared, in one line."""

from pathlib import Path

from nnlab.data import Table


def raw(path, tasks=None, **options):
    """What a table holds, before any split."""
    return Table(path=path, **options).read_for(tasks, 0, Path("nowhere"))


def dataset(path, tasks=None, seed=0, **options):
    """A table, split and encoded."""
    return Table(path=path, **options).load(seed, Path("nowhere"), tasks)
