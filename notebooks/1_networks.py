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
# # Networks: neurons, layers, activations
#
# What one unit can learn, what two can, and why a network needs something that is not linear.
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

# %% [markdown]
# ## One unit draws a line
#
# A single unit with a sigmoid is logistic regression. On two moons a straight line is the best that it can do.

# %%
nnlab.train("data=moons", "loss=binary_cross_entropy", "architecture=perceptron", "name=one_unit")

# %% [markdown]
# ## A hidden layer bends it
#
# Sixteen hidden units, the same data. Compare the test accuracy with the one above.

# %%
nnlab.train("data=moons", "loss=binary_cross_entropy", "architecture.widths=[16]", "name=hidden")

# %% [markdown]
# ## XOR
#
# No single unit computes XOR: the four points cannot be separated by a line. Eight seeds of each width are trained as
# one population; the study says how often a width succeeds.

# %%
nnlab.sweep(
    "data=xor",
    "loss=binary_cross_entropy",
    "architecture.widths=[1],[2],[4]",
    "seed=range(8)",
    "activation=tanh",
    "optimizer=adam",
    "optimizer.learning_rate=0.03",
    "trainer.epochs=100",
    "name=xor",
    "callbacks=[checkpoint]",
)
nnlab.study("outputs/xor", "accuracy/train")

# %% [markdown]
# ## Linear layers in a row are one
#
# With `activation=identity` three layers are no better than none; with ReLU they are.

# %%
nnlab.sweep(
    "data=moons",
    "loss=binary_cross_entropy",
    "architecture.widths=[32,32,32]",
    "activation=identity,relu",
    "seed=range(3)",
    "name=linear",
)
nnlab.study("outputs/linear")

# %% [markdown]
# **Question.** Which function of two bits besides XOR can no single unit compute? `nnlab experiment xor` answers.
