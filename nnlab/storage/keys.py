"""One table of a config's keys: which of them decide the result, name the study, and are shown where runs are compared.

Three columns serve all uses: the identity of a run and the difference between two configs (`decides`), the labels of
runs in a figure (`decides`), the name of a job's folder and the jobs that can be stacked (`study`), and the table of
hyper-parameters (`shown`). Keys that are not in the table decide, do not name the study, and are shown.
"""

from __future__ import annotations

import functools
from typing import NamedTuple


class Key(NamedTuple):
    """What a key of the config means.

    Attributes:
        decides: whether the numbers of a run depend on it.
        study: whether it says where a study is and how it is worked off, and not what one of its runs computes.
        shown: whether a table of runs has a column for it.
    """

    decides: bool = True
    study: bool = False
    shown: bool = True


USUAL = Key()

KEYS = {
    "name": Key(decides=False, study=True, shown=False),
    "output_dir": Key(decides=False, study=True, shown=False),
    "resume": Key(decides=False, study=True, shown=False),
    "sweep": Key(decides=False, study=True, shown=False),
    "hydra": Key(decides=False, study=True, shown=False),
    "data_root": Key(decides=False, shown=False),
    "callbacks": Key(decides=False, shown=False),
    "experiment": Key(shown=False),
    "data.references": Key(decides=False, shown=False),
    "trainer.device": Key(decides=False, shown=False),
    "trainer.engine": Key(decides=False, shown=False),
    "trainer.processes": Key(decides=False, shown=False),
    "trainer.threads": Key(decides=False, shown=False),
    "trainer.cuda_graphs": Key(decides=False, shown=False),
    "trainer.time_limit": Key(decides=False, shown=False),
    "trainer.deterministic": Key(shown=False),
}


# Keys on which it depends by what examples, or in what units, runs are judged: their metrics do not compare.
MEASURED_ON = frozenset(
    f"data{key}" for key in ("", ".path", ".target", ".task", ".limit", ".validation", ".test", ".footer")
)


@functools.cache
def meaning(path: str) -> Key:
    """The row of the key at a dotted path, or of the section that it is in.

    >>> meaning("sweep.retries").study, meaning("trainer.device").decides, meaning("trainer.epochs").decides
    (True, False, True)
    """
    parts = path.split(".")
    sections = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((KEYS[section] for section in sections if section in KEYS), USUAL)
