"""`nnlab schema [train | recipe | GROUP]`: a JSON schema of the configs, for editors that complete and check YAML."""

from __future__ import annotations

from collections.abc import Sequence

from nnlab.cli.arguments import Grammar, print_json
from nnlab.config.folder import config_folder, groups
from nnlab.errors import UserError, did_you_mean

PRIMARY = ("train", "recipe")
GRAMMAR = Grammar(
    "schema",
    "Print a JSON schema: of whole configs and experiment files for `nnlab train` (the default) or `nnlab recipe`, or\n"
    "of an option's file in a group. An editor with a YAML language server takes it from the file's first line:\n\n"
    "  nnlab schema > nnlab.schema.json\n"
    "  # yaml-language-server: $schema=nnlab.schema.json",
    "[train|recipe|GROUP]",
    reports=True,
)


def main(arguments: Sequence[str]) -> int:
    """Print the schema.

    Raises:
        UserError: there is no such config or group.
    """
    given = GRAMMAR.read(arguments)
    if given is None:
        return 0
    from nnlab.config.json_schema import group_schema, whole_schema

    folder = config_folder()
    names = [*PRIMARY, *groups(folder)]
    [name] = given.words or ["train"]
    if name not in names:
        raise UserError(f"there is no config or group `{name}`; {did_you_mean(name, names)}")
    found = whole_schema(name, folder) if name in PRIMARY else group_schema(name, folder)
    print_json(found)
    return 0
