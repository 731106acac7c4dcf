#!/usr/bin/env bash
# pytorch_optimizer 3.10 -> 4.1: one optimizer in seven takes other steps with the same arguments, some 50 times smaller.
#
# Happens: 4.0 corrected many update rules. DiffGrad of 3.10, with its default arguments, was Adam without the friction
# that the name stands for and without the second bias correction: its first step is 32 times the learning rate, that of
# 4.1 half of it. Grams averaged its momentum with the weights of old and new exchanged, AdaSmooth measured its path from
# zero instead of from the initial weights. The saved state of a few (FAdam, MARS) loads into 4.1 and the next step raises
# a KeyError for an option that 3.10 did not have. AdamP, Lamb, Lion, Prodigy and most others step equally in both.
# Guessed: a registered optimizer keeps its rule over releases; those that change are a handful, by rounding.
# Matters: learning rates that were tuned, and comparisons of optimizers that were published, with 3.x say nothing about
# 4.x for these names; a resumed run continues with another rule under the old learning rate.
# Version: pytorch_optimizer 3.10.0 beside 4.1.0, torch 2.14.1 (installs PyTorch: 6 GB, five minutes). Source:
# kozistr/pytorch_optimizer, release notes of 3.11.0 and 4.0.0 ("may change training results"; magnitudes not given).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.14.1" "numpy==2.4.6"
cat >"$folder/steps.py" <<'PYTHON'
import json
import sys
import warnings

import torch

warnings.simplefilter("ignore")
import pytorch_optimizer

LEARNING_RATE = 1e-2
STEPS = 3


def distances(name, loaded=None):
    """Return the root mean square distance from the start after each of three steps (in learning rates) and the state."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(8, 16))
    start = weight.detach().clone()
    target, x = torch.randn(8, 32), torch.randn(16, 32)
    optimizer = pytorch_optimizer.load_optimizer(name)([weight], lr=LEARNING_RATE)
    if loaded is not None:
        optimizer.load_state_dict(loaded)
    walked = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        ((weight @ x - target) ** 2).mean().backward()
        optimizer.step()
        walked.append(((weight.detach() - start) ** 2).mean().sqrt().item() / LEARNING_RATE)
    return walked, optimizer.state_dict()


seen = {}
for name in sorted(pytorch_optimizer.get_supported_optimizers()):
    try:
        seen[name], state = distances(name)
        if name in ("fadam", "mars") and sys.argv[2] == "write":
            torch.save(state, f"{sys.argv[3]}/{name}.pt")
    except Exception:  # needs a closure, parameter groups or a process group
        continue
if sys.argv[2] == "read":
    for name in ("fadam", "mars"):
        try:
            distances(name, torch.load(f"{sys.argv[3]}/{name}.pt"))
            seen[f"state of {name}"] = "continues"
        except KeyError as error:
            seen[f"state of {name}"] = f"KeyError {error}"
json.dump(seen, open(sys.argv[1], "w"))
PYTHON
for release in 3.10.0 4.1.0; do
    [ "$release" = 3.10.0 ] && states=write || states=read
    "$folder/venv/bin/pip" install --quiet --no-deps --target "$folder/$release" "pytorch_optimizer==$release"
    PYTHONPATH="$folder/$release" OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/steps.py" \
        "$folder/$release.json" "$states" "$folder" 2>/dev/null
done
"$folder/venv/bin/python" - "$folder/3.10.0.json" "$folder/4.1.0.json" <<'PYTHON'
import json
import sys
from importlib.metadata import version

import numpy as np

old, new = (json.load(open(path)) for path in sys.argv[1:])
states = {name: new.pop(name) for name in list(new) if name.startswith("state of")}
both = sorted(set(old) & set(new))
changed = [name for name in both if not np.allclose(old[name], new[name], rtol=0.02, atol=1e-6, equal_nan=True)]
print("torch", version("torch"), "| pytorch_optimizer 3.10.0 and 4.1.0")
print(f"{len(changed)} of {len(both)} optimizers walk another distance in three steps (by more than 2 percent):", *changed)
print("first step, in learning rates")
for name in ("diffgrad", "grams", "adasmooth", "adamp", "lion"):
    print(f"    {name:10} 3.10.0 {old[name][0]:8.3f}   4.1.0 {new[name][0]:8.3f}")
print("3.10.0's", states)
assert set(states.values()) == {"KeyError 'eps_2'", "KeyError 'weight_decay_1d'"}
assert 10 <= len(changed) <= 25
assert {"diffgrad", "grams", "adasmooth"} <= set(changed) and not {"adamp", "lamb", "lion", "prodigy"} & set(changed)
assert 31 < old["diffgrad"][0] < 32 and 0.4 < new["diffgrad"][0] < 1.0
PYTHON
