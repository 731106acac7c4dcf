"""`nnlab export RUN`: a run as a file for other programs, compared with the run, and its model card."""

from __future__ import annotations

from collections.abc import Sequence

from nnlab.errors import UserError, did_you_mean

USAGE = """\
usage: nnlab export RUN [format=onnx|pt2|safetensors|state_dict] [out=FOLDER]

Writes the network with its preprocessing inside (onnx, pt2), or all weights as arrays (safetensors, state_dict), and a
README.md with columns, metrics and command; to RUN/export, or to FOLDER. Then the file is loaded again by its own
runtime and compared on examples of the run's data; the exit code is 1 where a prediction differs by more than 1e-5.
"""
KEYS = ("format", "out")


def main(arguments: Sequence[str]) -> int:
    """Export and print what was written and how well it agrees.

    Raises:
        UserError: the arguments are not `RUN [KEY=VALUE ...]`, or the run cannot be written in this format.
    """
    if not arguments or set(arguments) & {"-h", "--help"}:
        print(USAGE, end="")
        return 0 if arguments else 2
    run, *rest = arguments
    options = {}
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS:
            raise UserError(f"there is no option `{word}`; {did_you_mean(key, KEYS)}")
        options[key] = value
    from nnlab.config import trust
    from nnlab.runs.export import TOLERANCE, export
    from nnlab.runs.networks import load_networks

    trust.reading(run)
    found = export(load_networks(run, "cpu"), options.get("format", "onnx"), options.get("out"))
    what = "examples of its data" if found.real else "drawn examples"
    print(f"{found.path}\n{found.card}")
    print(f"loaded again and compared on {found.rows} {what}: largest difference {found.difference:.1e}")
    if not found.agrees:
        print(f"that is more than {TOLERANCE:.0e}: do not use this file")
        return 1
    return 0
