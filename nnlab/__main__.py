"""`python -m nnlab` is the command `nnlab`."""

import sys

from nnlab.cli import main

sys.exit(main())
