"""Draw thousands of valid overrides, which must train, and of mistakes, which must be refused with one sentence.

python benchmarks/config_surface.py --examples 2000
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "resume")]

from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from surface import check_refused, check_valid, mistakes, valid  # noqa: E402


def count(name: str, strategy: Any, check: Callable[[Any], None], examples: int, number: int) -> int:
    """Check `examples` drawn values, go on after failures, and print the counts; returns the failures."""
    failures: dict[str, str] = {}
    done = 0

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(value: Any) -> None:
        nonlocal done
        done += 1
        try:
            check(value)
        except Exception as error:
            failures.setdefault(f"{type(error).__name__}: {str(error).splitlines()[:1]}", repr(value))

    began = time.monotonic()
    run()
    print(f"{name:10} {done:6} drawn  {len(failures):4} kinds of failure  {time.monotonic() - began:.0f} s")
    for error, value in failures.items():
        print(f"  {error}\n    {value}")
    return len(failures)


def main() -> int:
    """Print the counts; exit code 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = count("valid", valid(), check_valid, options.examples, options.seed)
    found += count("mistakes", mistakes(), check_refused, options.examples, options.seed)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
