# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Backpropagation: error signals by hand
#
# The computation graph of the lecture, both passes with numbers, and the check against finite differences.
#
# The first cell installs nnlab where it is missing, as on Colab, and does nothing elsewhere: upload the wheel that
# `pip wheel --no-deps .` makes in the source's folder, and name it there.

# %%
import importlib.util

SOURCE = "nnlab-0.1.0-py3-none-any.whl"  # a wheel beside this notebook
if importlib.util.find_spec("nnlab") is None:
    import subprocess
    import sys

    subprocess.run([sys.executable, "-m", "pip", "install", "-q", SOURCE], check=True)

import nnlab

from nnlab.backprop import read

# %% [markdown]
# ## The first graph
#
# e = (a + b)(b + 1). The error signal of a node is the derivative of the output with respect to it, and a sum over the
# node's children: b has two, so its two terms add up.

# %%
graph = read("c = a + b", "d = b + 1", "e = c * d", "a = 2", "b = 1")
graph.backward()
graph

# %% [markdown]
# ## Softmax and cross-entropy
#
# Derive first: what is the error signal of z? Then look at its row: y - t.

# %%
graph = read(
    "z = W @ x + b",
    "y = softmax(z)",
    "L = -t.T @ log(y)",
    "W = [[1, 0], [0, 1], [1, 1]]",
    "x = [1, 2]",
    "b = [0, 0, 0]",
    "t = onehot(1, 3)",
)
graph.backward()
graph

# %%
graph["z"].error_signal - (graph["y"].value - graph["t"].value)

# %% [markdown]
# ## Is it right?
#
# Central differences and torch's autograd are two independent answers.

# %%
from nnlab.backprop.checks import check_graph

check_graph(graph)

# %% [markdown]
# ## What it costs
#
# The backward pass takes twice the multiply-adds of the forward pass, and less where the input is wide: the first
# layer's input needs no gradient.

# %%
from nnlab.backprop import backward_cost, forward_cost

{str(widths): round(backward_cost(widths) / forward_cost(widths), 2) for widths in ([784, 256, 10], [256] * 8)}
