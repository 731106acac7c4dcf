"""A JSON schema of the configs, from the constructors' signatures, for editors that complete and check YAML.

It holds for whole configs and for experiment files: every key is known, none is required, and a component's section
may be that of any option of its group, or a class of one's own by `_target_`.

Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import enum
import inspect
import pathlib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from nnlab.config.folder import Primary, description, options, primary
from nnlab.config.schema import signature

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = {"type": "string", "pattern": r"^\$\{.*\}$"}  # a value that refers to another key

_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string", pathlib.Path: "string"}


def whole_schema(name: str, folder: Path) -> Schema:
    """The schema of the primary config `<name>.yaml` and of experiment files for it.

    Args:
        name: such as `train`.
        folder: where the configs are.

    Raises:
        UserError: there is no such config.
    """
    stated = primary(name, folder)
    properties: Schema = {"defaults": {"type": "array", "description": "options of groups, and `_self_`"}}
    properties |= {key: _of_default(value) for key, value in stated.values.items()}
    for group in sorted(stated.choices):
        if "/" not in group and group != "experiment":
            properties[group] = _section(group, stated, folder)
    return {
        "$schema": DRAFT,
        "title": f"nnlab {name}",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def group_schema(group: str, folder: Path) -> Schema:
    """The schema of an option's file in a group such as `optimizer`."""
    return {"$schema": DRAFT, "title": f"an option of {group}", **_option(group, folder, {})}


def _section(group: str, stated: Primary, folder: Path) -> Schema:
    """The section of a group: one option, or several by name."""
    inner = {name: _section(f"{group}/{name}", stated, folder) for name in stated.subgroups(group)}
    if isinstance(stated.choices[group], list):
        return {"type": "object", "additionalProperties": _option(group, folder, inner)}
    return _option(group, folder, inner)


def _option(group: str, folder: Path, inner: Schema) -> Schema:
    """Any known class of a group with its arguments, or a part of that, or any other class."""
    known: list[Schema] = []
    targets: list[str] = []
    merged = dict(inner)
    for file in options(folder, group):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        target = content.get("_target_") if isinstance(content, Mapping) else None
        if target is None:
            continue
        taken = signature(target).arguments.items()
        arguments = {name: to_schema(each.hint) for name, each in taken if name in content}
        targets.append(target)
        own = {"_target_": {"const": target}, **arguments, **inner}
        known.append({"properties": own, "required": ["_target_"], "description": description(file)})
        for name, schema in arguments.items():
            merged[name] = schema if merged.get(name, schema) == schema else {}
    others = {"properties": {"_target_": {"not": {"enum": targets}}}}
    closed = [{**each, "additionalProperties": False} for each in known]
    part = {"properties": merged, "not": {"required": ["_target_"]}, "additionalProperties": False}
    return {"type": "object", "anyOf": [*closed, part, {**others, "required": ["_target_"]}]}


def to_schema(hint: Any) -> Schema:
    """The schema of an annotation; an empty one, which takes anything, where it says nothing that JSON knows.

    >>> to_schema(int | None)
    {'anyOf': [{'type': 'integer'}, {'type': 'null'}]}
    """
    kind, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if hint is None or kind is type(None):
        return {"type": "null"}
    if kind in (typing.Union, types.UnionType):
        return {"anyOf": [to_schema(each) for each in arguments]}
    if kind is Literal:
        return {"enum": list(arguments)}
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    if not inspect.isclass(kind) or kind in (Any, object):
        return {}
    if issubclass(kind, enum.Enum):
        return {"enum": [each.value for each in kind]}
    if issubclass(kind, Mapping):
        return {"type": "object"}
    if issubclass(kind, typing.Collection) and not issubclass(kind, str):
        items = [each for each in arguments if each is not Ellipsis]
        return {"type": "array", **({"items": to_schema(items[0])} if len(items) == 1 else {})}
    return {"type": "object", "required": ["_target_"]}


def _of_default(value: Any) -> Schema:
    """The schema of a key of the primary config itself, from its default; a component's from its class."""
    if isinstance(value, Mapping):
        target = value.get("_target_")
        if target is None:
            return {"type": "object", "properties": {k: _of_default(v) for k, v in value.items()}}
        arguments = {name: to_schema(each.hint) for name, each in signature(target).arguments.items()}
        own = {"_target_": {"const": target}, **arguments}
        return {"type": "object", "properties": own, "additionalProperties": False}
    if value is None or (isinstance(value, str) and "${" in value):
        return {}
    if isinstance(value, bool):
        return {"anyOf": [{"type": "boolean"}, REFERENCE]}
    kind = {int: "integer", float: "number", str: "string", list: "array"}.get(type(value))
    return {} if kind is None else {"anyOf": [{"type": kind}, REFERENCE]}
