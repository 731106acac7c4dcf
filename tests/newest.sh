#!/usr/bin/env bash
# The newest versions of all dependencies, pre-releases included, in a virtual environment of their own, and the quick
# tests with them. `.ci/run` stays on the pins of constraints.txt; this says what will break next.
#
#     tests/newest.sh [--keep-torch] [pytest arguments]
#
# --keep-torch takes torch and torchvision from the Python that runs this, which saves gigabytes.
set -euo pipefail
cd "$(dirname "$0")/.."

python=$(command -v python3 || command -v python)
venv=$(mktemp -d)/venv
trap 'rm -rf "$(dirname "$venv")"' EXIT
if [ "${1:-}" = --keep-torch ]; then
    shift
    "$python" -m venv "$venv"
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$python" -c 'import os, torch; print(os.path.dirname(os.path.dirname(torch.__file__)))' >"$site/kept_torch.pth"
else
    "$python" -m venv "$venv"
fi
export PATH="$venv/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
names=$(python - <<'PYTHON'
import re
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
names = [re.match(r"[\w.-]+", line)[0] for line in lines]
print(*sorted({name for name in names if name not in ("nnlab", "torch", "torchvision")}))
PYTHON
)
# shellcheck disable=SC2086
python -m pip install -q --pre --upgrade --ignore-installed $names
python -c 'import torch, torchvision' 2>/dev/null || python -m pip install -q --pre torch torchvision
python -m pip install -q --no-deps -e .
python -m pip list 2>/dev/null | grep -iE "^($(echo $names | tr ' ' '|')|omegaconf|torch|torchvision) "

# Deprecations of others are theirs to mend; the tests listed are those that touch every dependency in seconds.
quick=(tests/test_cli.py tests/test_config.py tests/test_trust.py tests/sweep/test_grid.py tests/sweep/test_search.py
    tests/sweep/test_stacking.py tests/report tests/callbacks tests/optimizer tests/training tests/data)
OMP_NUM_THREADS=1 pytest -q -m "not slow" -W default "$@" "${quick[@]}"
