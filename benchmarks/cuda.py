"""The script `on_cuda.py`, under the name by which one looks for it: python benchmarks/cuda.py

torch imports a package `cuda` (NVIDIA's bindings), for which Python takes this file in any script beside it; as that
package it therefore looks for its parts where they are installed.
"""

import pkgutil
import sys

if __name__ == "__main__":
    from on_cuda import main

    sys.exit(main())

__path__ = pkgutil.extend_path([], __name__)
