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
# # Generalization: overfitting and what helps
#
# A network that learns its examples by heart, and penalty, dropout, early stopping and ensembles against it.
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
# ## By heart
#
# Three hundred examples with some wrong labels, many units: the training loss goes to zero, wrong labels included, and
# the validation loss stays far above it.

# %%
FEW = ("data.limit=300", "data.label_noise=0.1", "architecture.widths=[256,256]", "trainer.epochs=60", "data_seed=0")
nnlab.train(*FEW, "name=by_heart")

# %% [markdown]
# What is wrong is said below the table, if anything is certain; `nnlab diagnose` says all of it, with evidence.
#
# ## What helps
#
# The same data, three seeds each.

# %%
nnlab.sweep(
    *FEW,
    "seed=range(3)",
    "name=helps",
    "callbacks=[checkpoint]",
    "regularizer=[],[dropout],[l1]",
)
nnlab.study("outputs/helps")

# %% [markdown]
# ## An ensemble
#
# The average of eight networks that differ in their seed alone.

# %%
result = nnlab.train(*FEW, "regularizer=[ensemble]", "regularizer.ensemble.members=8", "name=ensemble")
report = result.ensemble["test"]
{"alone": round(report["mean"]["accuracy"], 4), "average of eight": round(report["by_size"][-1]["accuracy"], 4)}
