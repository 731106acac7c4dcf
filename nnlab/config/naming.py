"""The name of a job's folder: its own overrides, sorted, in characters that every file system takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

STUDY_KEYS = ("name", "output_dir", "resume", "sweep", "hydra")  # they say where a study is, not what a job computes
LONGEST = 100  # characters; longer names keep their beginning and end in a hash
UNSAFE = re.compile(r"[^A-Za-z0-9_.=,+\-\[\]]")


def key_of(override: str) -> str:
    """The key or group that an override sets.

    >>> key_of("+data/preprocessing@x=none")
    'data/preprocessing'
    """
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def own_overrides(overrides: Iterable[str]) -> list[str]:
    """The overrides that belong to a job, sorted: those of the study are left out.

    >>> own_overrides(["seed=1", "name=study1", "optimizer=sgd", "sweep.retries=2"])
    ['optimizer=sgd', 'seed=1']
    """
    return sorted(each for each in overrides if re.split(r"[./]", key_of(each))[0] not in STUDY_KEYS)


def run_name(overrides: Iterable[str]) -> str:
    """The folder's name for a job's overrides; equal names mean equal overrides.

    >>> run_name(["seed=1", "name=study1", "data/preprocessing=none"])
    'data.preprocessing=none,seed=1'
    >>> run_name(["name=study1"])
    'defaults'
    """
    own = own_overrides(overrides)
    exact = ",".join(own)
    readable = ",".join(_with_dots(each) for each in own) or "defaults"
    safe = UNSAFE.sub("_", readable)
    if safe == readable and len(safe) <= LONGEST and not safe.startswith("."):
        return safe
    digest = hashlib.sha256(exact.encode()).hexdigest()[:10]
    return f"{safe.lstrip('.')[: LONGEST - len(digest) - 1]}-{digest}"


def _with_dots(override: str) -> str:
    """The slashes of a group's name become dots; those of a value do not."""
    key, equals, value = override.partition("=")
    return key.replace("/", ".") + equals + value
