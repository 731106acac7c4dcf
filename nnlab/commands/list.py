"""`nnlab list [GROUP ...]`: the config groups and their options."""

from __future__ import annotations

from collections.abc import Sequence

from nnlab.cli.arguments import Grammar, print_json
from nnlab.config import folder
from nnlab.config.folder import description, groups, options
from nnlab.errors import UserError, did_you_mean


def main(arguments: Sequence[str]) -> int:
    """Print every config group, or some, with its options and what each of them is.

    Raises:
        UserError: there is no such group.
    """
    place = folder.config_folder()
    names = groups(place)
    about = "Show the config groups and their options."
    given = Grammar("list", about, "[GROUP ...]", reports=True, footer="  ".join(names)).read(arguments)
    if given is None:
        return 0
    wanted = [word.rstrip("/") for word in given.words]
    for name in wanted:
        if name not in names:
            raise UserError(f"there is no group `{name}`; {did_you_mean(name, names)}")
    files = {name: options(place, name) for name in wanted or names}
    if given.json:
        print_json({name: {file.stem: description(file) for file in each} for name, each in files.items()})
        return 0
    width = max((len(file.stem) for each in files.values() for file in each), default=0)
    for position, (name, each) in enumerate(files.items()):
        print(f"{chr(10) if position else ''}{name}")
        for file in each:
            print(f"  {file.stem:{width}}  {description(file)}".rstrip())
    return 0
