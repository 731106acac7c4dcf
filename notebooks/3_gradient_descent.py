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
# # Gradient descent: rates, momentum, schedules
#
# The learning rate in four shapes, optimizers side by side, and what a schedule gives.
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
# ## Four learning rates
#
# Too low, right, too high, much too high: one population, one loop.

# %%
nnlab.sweep(
    "optimizer=sgd",
    "optimizer.learning_rate=0.001,0.1,3,100",
    "scheduler=constant",
    "trainer.epochs=10",
    "seed=0,1",
    "name=rates",
    "data_seed=0",
)
nnlab.study("outputs/rates")

# %%
from IPython.display import Image

files = nnlab.plot("outputs/rates", only=["loss"])
Image(str(files[0]), width=560)

# %% [markdown]
# ## Momentum, RMSProp, Adam
#
# Each at its usual rate; the study says which differences are more than the luck of the seeds.

# %%
nnlab.sweep(
    "sweep.zip=[optimizer,optimizer.learning_rate]",
    "optimizer=sgd,momentum,rmsprop,adam",
    "optimizer.learning_rate=0.1,0.1,0.001,0.001",
    "trainer.epochs=10",
    "seed=range(3)",
    "name=optimizers",
    "data_seed=0",
)
nnlab.study("outputs/optimizers", "loss/validation")

# %% [markdown]
# ## A schedule
#
# The rate decays along a cosine, or stays. Look at the end of the curve.

# %%
nnlab.train("scheduler=constant", "optimizer.learning_rate=0.01", "trainer.epochs=20", "name=constant")

# %%
nnlab.train("scheduler=cosine", "optimizer.learning_rate=0.01", "trainer.epochs=20", "name=cosine")
