"""The guided pages: each sets the playground, says what to try, and asks a question that the page checks."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any


@functools.cache
def lessons() -> list[dict[str, Any]]:
    """All lessons in order, as `lessons.yaml` beside this module has them.

    Each has `title`, `text`, `settings` (overrides by key), optionally `compare` (`key`, `values`), `try` (a list),
    `question` with `choices`, the position of the right `answer`, and `why`; and optionally a `goal`: a metric of the
    validation split and the value it must reach (`at_least` or `at_most`).
    """
    import yaml

    content: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "lessons.yaml").read_text("utf-8"))
    return content
