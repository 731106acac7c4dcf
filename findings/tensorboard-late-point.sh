#!/usr/bin/env bash
# One scalar written late, and TensorBoard's page loses every later step of its curve; the file still has them all.
#
# Happens: TensorBoard serves its pages from the data server (a program of its own, on by default since 2.5). When a
# point of a tag arrives whose step is not above the last one, the data server forgets all points from that step on, as
# if the run had been restarted. EventAccumulator in Python, and the pages with --load_fast=false, keep all points of the
# same file. Of six points at steps 10 20 30 40 15 25 the page shows three, the Python reader six.
# Guessed: both readers show the same points; at worst the line goes back and forth.
# Matters: validation of an old checkpoint added later, several workers that log to one run, a step counter that starts
# again each epoch: the curve on the page is truncated without a message, and a script that reads the file disagrees.
# Version: tensorboard 2.21.0, tensorboard-data-server 0.7.2, tensorboardX 2.6.5. Source: tensorflow/tensorboard issues
# 5958 (several files out of order) and 4784 (feedback on the data server).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "tensorboard==2.21.0" "tensorboard-data-server==0.7.2" "tensorboardX==2.6.5" \
    "protobuf==7.36.2" "numpy==2.4.6"
"$folder/venv/bin/python" - "$folder/logs" <<'PYTHON'
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

logs = sys.argv[1]
steps = [10, 20, 30, 40, 15, 25]
writer = SummaryWriter(f"{logs}/run")
for step in steps:
    writer.add_scalar("loss", float(step), step)
writer.close()


def steps_on_the_page(load_fast):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = pathlib.Path(sys.executable).parent / "tensorboard"
    command = [program, "--logdir", logs, "--port", str(port), "--load_fast", load_fast]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        url = f"http://127.0.0.1:{port}/data/plugin/scalars/scalars?run=run&tag=loss"
        try:
            for _ in range(120):
                time.sleep(0.5)
                try:
                    return [step for _, step, _ in json.load(urllib.request.urlopen(url))]
                except OSError:  # not listening yet, or the run is not read yet
                    continue
            raise SystemExit("tensorboard showed no run within a minute")
        finally:
            server.terminate()


accumulator = EventAccumulator(f"{logs}/run").Reload()
seen = {
    "EventAccumulator": [event.step for event in accumulator.Scalars("loss")],
    "page, --load_fast=false": steps_on_the_page("false"),
    "page, --load_fast=true": steps_on_the_page("true"),
}
print({name: version(name) for name in ("tensorboard", "tensorboard-data-server", "tensorboardX")})
print(f"{'written':24}", steps)
for name, shown in seen.items():
    print(f"{name:24}", shown)
assert seen["EventAccumulator"] == seen["page, --load_fast=false"] == steps
assert seen["page, --load_fast=true"] == [10, 15, 25]
PYTHON
