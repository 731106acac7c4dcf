#!/usr/bin/env bash
# The newest versions of all dependencies, pre-releases included, in a virtual environment of their own, and the quick
# tests with them. `.ci/run` stays on the pins of constraints.txt; this says what will break next.
#
#     tests/newest.sh [--keep-torch] [--into FOLDER] [pytest arguments]
#
# --keep-torch takes torch and torchvision from the Python that runs this, which saves gigabytes; --into keeps the
# environment in a folder, where it is only brought up to date the next time.
set -euo pipefail

keep_torch="" venv=""
while [ $# -gt 0 ]; do
    case $1 in
    --keep-torch) keep_torch=yes && shift ;;
    --into) venv=$(realpath -m "$2") && shift 2 ;;
    *) break ;;
    esac
done
cd "$(dirname "$0")/.."
if [ -z "$venv" ]; then
    venv=$(mktemp -d)/venv
    trap 'rm -rf "$(dirname "$venv")"' EXIT
fi

python=$(command -v python3 || command -v python)
"$python" -m venv "$venv"
if [ -n "$keep_torch" ]; then
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    "$python" -c 'import os, torch; print(os.path.dirname(os.path.dirname(torch.__file__)))' >"$site/kept_torch.pth"
fi
export PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv" PIP_DISABLE_PIP_VERSION_CHECK=1
names=$(KEEP_TORCH=$keep_torch python - <<'PYTHON'
import os
import re
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
kept = {"nnlab", "torch", "torchvision"} if os.environ["KEEP_TORCH"] else {"nnlab"}
print(*sorted({re.match(r"[\w.-]+", line)[0] for line in lines} - kept))
PYTHON
)
# pip's resolver walks back through hundreds of old releases where pre-releases are allowed; uv's takes seconds.
python -m pip install -q uv
# shellcheck disable=SC2086
uv pip install -q --prerelease allow --upgrade $names
uv pip install -q --no-deps -e .
uv pip list | grep -iE "^($(echo "$names" | tr ' ' '|')|omegaconf|torch|torchvision) "

# Deprecations of others are theirs to mend; the tests listed are those that touch every dependency in seconds.
quick=(tests/test_cli.py tests/test_config.py tests/test_trust.py tests/sweep/test_grid.py tests/sweep/test_search.py
    tests/sweep/test_stacking.py tests/report tests/callbacks tests/optimizer tests/training tests/data)
OMP_NUM_THREADS=1 pytest -q -m "not slow" -W default "$@" "${quick[@]}"
