#!/usr/bin/env bash
# A padded-out sequence in a batch: PyTorch's TransformerEncoderLayer trains on it, and returns NaN for it in evaluation.
#
# Happens: when key_padding_mask hides every position of one sequence (an empty text, a batch filled up to its size),
# nn.TransformerEncoderLayer gives finite numbers in training, and in eval() with gradients; in eval() under
# torch.no_grad() it takes its fast path and gives NaN for that sequence. nn.MultiheadAttention gives NaN with
# need_weights=True (the default) in every mode, zeros with need_weights=False, and NaN again in eval() without
# gradients. nn.TransformerEncoder around two such layers returns zeros there in evaluation, and numbers in training.
# Guessed: one answer per module, NaN (a softmax over nothing) or zero, in all modes.
# Matters: the training loss falls while the mean validation loss is NaN from the first epoch, or a pooled output differs
# between the modes; it looks like a diverged model, and disappears when somebody looks with gradients on.
# Version: torch 2.14.1 on the CPU (installs PyTorch: 6 GB, some minutes). Source: pytorch/pytorch pull
# request 190486 (open: rows without keys in the fast path); the pages of both modules name the conditions of that path.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.14.1" "numpy==2.4.6"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(2, 3, 8)
padding = torch.tensor([[False, False, True], [True, True, True]])  # the second sequence is padding only
attention = nn.MultiheadAttention(8, 2, batch_first=True)
layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
encoder = nn.TransformerEncoder(layer, 2)
modules = {
    "MultiheadAttention": (attention, lambda: attention(x, x, x, key_padding_mask=padding)[0]),
    "  need_weights=False": (attention, lambda: attention(x, x, x, key_padding_mask=padding, need_weights=False)[0]),
    "TransformerEncoderLayer": (layer, lambda: layer(x, src_key_padding_mask=padding)),
    "TransformerEncoder": (encoder, lambda: encoder(x, src_key_padding_mask=padding)),
}


def kind(rows):
    if rows.isnan().any():
        return "nan"
    return "zeros" if (rows == 0).all() else "numbers"


def answer(module, forward, training, gradients):
    module.train(training)
    with torch.set_grad_enabled(gradients):
        out = forward()
    assert out[0, :2].isfinite().all()  # the sequence with two tokens is never touched
    return kind(out[1])


modes = {"train": (True, True), "eval": (False, True), "eval, no_grad": (False, False)}
seen = {name: [answer(*pair, *mode) for mode in modes.values()] for name, pair in modules.items()}
print("torch", torch.__version__, "| output for the sequence of padding only")
print(f"{'':25}", *(f"{mode:14}" for mode in modes))
for name, kinds in seen.items():
    print(f"{name:25}", *(f"{result:14}" for result in kinds))
assert list(seen.values()) == [
    ["nan", "nan", "nan"],
    ["zeros", "zeros", "nan"],
    ["numbers", "numbers", "nan"],
    ["numbers", "numbers", "zeros"],
]
PYTHON
