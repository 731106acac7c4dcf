"""`nnlab list [GROUP ...]`: the config groups and their options."""

from __future__ import annotations

from collections.abc import Sequence

from nnlab.config.folder import config_folder, description, groups, options
from nnlab.errors import UserError, did_you_mean


def main(arguments: Sequence[str]) -> None:
    """Print every config group, or one, with its options and what each of them is.

    Raises:
        UserError: there is no such group.
    """
    folder = config_folder()
    names = groups(folder)
    wanted = [argument.rstrip("/") for argument in arguments]
    if wanted in (["-h"], ["--help"]):
        print("Usage: nnlab list [GROUP ...]\n\n" + "  ".join(names))
        return
    for name in wanted:
        if name not in names:
            raise UserError(f"there is no group `{name}`; {did_you_mean(name, names)}")
    chosen = wanted or names
    files = {name: options(folder, name) for name in chosen}
    width = max((len(file.stem) for each in files.values() for file in each), default=0)
    for position, name in enumerate(chosen):
        print(f"{chr(10) if position else ''}{name}")
        for file in files[name]:
            print(f"  {file.stem:{width}}  {description(file)}".rstrip())
