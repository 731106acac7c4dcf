"""What all pages have in common: templates that are filled in, one style sheet, sentences with code, and figures."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_SIZE = re.compile(r'<svg([^>]*?) width="([\d.]+)pt" height="([\d.]+)pt"')
_BACKTICKS = re.compile(r"`([^`]+)`")


def filled(template: str, filters: Mapping[str, Callable[..., Any]] | None = None, **values: Any) -> str:
    """A template of this folder as HTML text; every value in it is escaped.

    Args:
        template: the file's name.
        filters: what the template calls, besides `code` and `inline`.
        values: by the names that the template has for them.
    """
    environment = _environment()
    environment.filters.update({"code": code, "inline": inline, **(filters or {})})
    return str(environment.get_template(template).render(**values))


def prepare() -> None:
    """Read what pages need besides their values, for who has something to wait for."""
    _environment()


@functools.cache
def _environment() -> Any:
    """What compiles templates, once a process: that takes longer than filling them in."""
    from jinja2 import Environment, FileSystemLoader

    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def code(text: str) -> str:
    """A sentence for a page, with what stands between backticks as code.

    >>> str(code("set `a < b`"))
    'set <code>a &lt; b</code>'
    """
    from markupsafe import Markup, escape

    return Markup(_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))


def inline(svg: str) -> str:
    """SVG text that can stand in a page, as wide as its place allows."""
    from markupsafe import Markup

    text = svg[svg.index("<svg") :]
    return Markup(_SIZE.sub(r'<svg\1 class="figure" style="width:100%;max-width:\2pt;height:auto"', text, count=1))
