"""Optimizers of other packages: 60 steps against a plain torch loop, continued to the same bits, or the refusal.

    pip install --target LIBS --no-deps timm pytorch_optimizer schedulefree prodigyopt dadaptation lion-pytorch
    PYTHONPATH=LIBS:tests/optimizer python benchmarks/foreign_optimizers.py

The packages are no part of nnlab's tests. A class counts as `same` where all 60 iterates are those of the plain loop to
the last bit, uninterrupted and continued after 24 steps from what a checkpoint holds.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from foreign import network, plain_loop, through_nnlab

from nnlab.errors import UserError
from nnlab.optimizer import from_torch
from nnlab.training.layout import Layout

PACKAGES = ("timm.optim", "pytorch_optimizer", "schedulefree", "prodigyopt", "dadaptation", "lion_pytorch")
OPTIONS: dict[str, dict[str, Any]] = {
    "SAM": {"base_optimizer": torch.optim.SGD, "lr": 0.01},
    "GSAM": {"base_optimizer": torch.optim.SGD, "lr": 0.01},
    "WSAM": {"base_optimizer": torch.optim.SGD, "lr": 0.01},
    "FriendlySAM": {"base_optimizer": torch.optim.SGD, "lr": 0.01},
    "BSAM": {"num_data": 8, "lr": 0.01},
}


def classes(package: str) -> Iterator[type]:
    """The classes of optimizers that a package offers."""
    module = importlib.import_module(package)
    for name in sorted(dir(module)):
        found = getattr(module, name)
        if inspect.isclass(found) and issubclass(found, torch.optim.Optimizer) and found is not torch.optim.Optimizer:
            own = found.__module__.startswith(package.partition(".")[0])
            if own and not inspect.isabstract(found):
                yield found


def options_of(kind: type) -> dict[str, Any]:
    """What a class cannot do without."""
    rate = inspect.signature(kind).parameters.get("lr")
    wanted = rate is not None and rate.default in (rate.empty, None)
    return OPTIONS.get(kind.__name__, {"lr": 0.01} if wanted else {})


def outcome(kind: type) -> str:
    """`same`, what differs, or the sentence of refusal."""
    options = options_of(kind)
    try:
        from_torch(kind, options).place(Layout(network()).slots)
    except UserError as error:
        return f"refused: {error}"
    torch.manual_seed(1)
    expected, shown = plain_loop(kind, options)
    for interrupted in (False, True):
        torch.manual_seed(1)
        found, here = through_nnlab(kind, options, interrupted)
        apart = [k for k, (a, b) in enumerate(zip(found, expected, strict=True), 1) if not torch.equal(a, b)]
        apart += [k for k, (a, b) in enumerate(zip(here, shown, strict=True), 1) if not torch.equal(a, b)]
        if apart:
            return f"DIFFERS {'continued' if interrupted else ''} from step {min(apart)}"
    return "same"


def main() -> None:
    """Print a line for each class, and the counts."""
    counts: Counter[str] = Counter()
    for package in sys.argv[1:] or PACKAGES:
        try:
            kinds = list(classes(package))
        except ImportError as error:
            print(f"{package}: not installed ({error})")
            continue
        for kind in kinds:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                try:
                    found = outcome(kind)
                except Exception as error:  # of a fault of ours, or of the class in a plain loop
                    found = f"ERROR {type(error).__name__}: {str(error)[:150]}"
            counts[found.split(" ")[0].rstrip(":")] += 1
            print(f"{package:18} {kind.__name__:28} {found[:220]}", flush=True)
    print(dict(counts))


if __name__ == "__main__":
    main()
