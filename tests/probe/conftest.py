"""The faults of these tests are named by `_target_: probed_faults...`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
