"""The scripts behind the slow tests are importable from the quick ones."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
