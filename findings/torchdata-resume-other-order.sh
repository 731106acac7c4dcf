#!/usr/bin/env bash
# torchdata's StatefulDataLoader resumed: the rest of the epoch is right, every epoch after it is in another order.
#
# Happens: with shuffle=True, a generator of one's own and num_workers=0 (the default), a loader whose state was saved and
# loaded goes on with the batches that were left of its epoch, and then shuffles the following epochs otherwise than the
# run that was never interrupted, also if the generator's own state is saved and restored beside it. A state taken at
# the end of an epoch changes the very next one. With two workers, or without a generator, all epochs are the same ones.
# Guessed: the loader's state holds what the order needs, whatever the number of workers (that is what it is for).
# Matters: the order is what a resumed run is compared by. "Resumed equals uninterrupted" passes on the epoch that was cut
# and fails later; whoever looks for the difference looks at the optimizer and the dropout masks first.
# Version: torchdata 0.11.0 with torch 2.14.1 on the CPU (installs PyTorch: 6 GB, some minutes). Source: its sampler keeps
# the state that the generator had before the permutation, and sets it again when it is loaded; the iterator draws a seed
# for its workers from the same generator, behind the permutation in a straight run, but before that state is set in a
# resumed one, so that the generator then is one draw behind.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.14.1" "torchdata==0.11.0" "numpy==2.4.6"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
import torchdata
from torchdata.stateful_dataloader import StatefulDataLoader


def loader(workers, generator):
    return StatefulDataLoader(range(12), batch_size=4, shuffle=True, num_workers=workers, generator=generator)


def epoch(batches):
    return [example for batch in batches for example in batch.tolist()]


def same_epochs(workers, own_generator, batches):
    """Whether the rest of this epoch, and the two after it, are those of the uninterrupted run."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0) if own_generator else None
    straight = loader(workers, generator)
    iterator = iter(straight)
    for _ in range(batches):
        next(iterator)
    saved = straight.state_dict()
    random_states = torch.get_rng_state(), generator.get_state() if generator else None
    expected = [epoch(iterator), epoch(straight), epoch(straight)]

    torch.set_rng_state(random_states[0])
    generator = torch.Generator() if own_generator else None
    if generator:
        generator.set_state(random_states[1])
    resumed = loader(workers, generator)
    resumed.load_state_dict(saved)
    return [epoch(resumed) == order for order in expected]


print("torchdata", torchdata.__version__, "torch", torch.__version__)
print("is the order after resuming that of the uninterrupted run? (rest of this epoch, next, next but one)")
seen = {}
for workers in (0, 2):
    for own_generator in (False, True):
        seen[workers, own_generator] = same_epochs(workers, own_generator, batches=1)
        print(f"num_workers={workers}, own generator: {own_generator!s:5}", seen[workers, own_generator])
assert seen.pop((0, True)) == [True, False, False]
assert all(kept == [True, True, True] for kept in seen.values())
PYTHON
