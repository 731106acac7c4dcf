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
# # Practice: data, initialization, diagnosis
#
# Preprocessing and initialization, and how a run says what is wrong with it.
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
# ## Constant weights
#
# All units of a layer get the same gradient and stay equal.

# %%
nnlab.train("initialization=constant", "trainer.epochs=5", "name=constant_weights")

# %% [markdown]
# ## A rate that is too high

# %%
result = nnlab.train("optimizer=sgd", "optimizer.learning_rate=100", "trainer.epochs=5", "name=too_high")
result

# %% [markdown]
# The findings are values, too, with their evidence and the override to try:

# %%
from nnlab.runs.diagnosing import diagnose_run

[findings] = diagnose_run(result.directory)
findings[0]

# %% [markdown]
# ## Six layers of tanh
#
# Weights of standard deviation 0.01 let the signal fade from layer to layer; Xavier's keep its size.

# %%
from IPython.display import Image

DEEP = ("architecture.widths=[64,64,64,64,64,64]", "activation=tanh", "trainer.epochs=3")
fading = nnlab.train(*DEEP, "initialization=gaussian", "initialization.std=0.01", "name=fading")
Image(str(nnlab.plot(fading.directory, only=["activations"])[0]), width=640)

# %%
keeping = nnlab.train(*DEEP, "initialization=xavier", "name=keeping")
Image(str(nnlab.plot(keeping.directory, only=["activations"])[0]), width=640)
