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
# # The recipe: seven steps to a tuned network
#
# What an experienced practitioner does by hand, on data of your own.
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
# ## The first three steps
#
# Is the loss at the start what theory says? Can the network overfit a small sample? Which rates make the loss drop?

# %%
nnlab.recipe("recipe.steps=[1,2,3]", "name=start")

# %% [markdown]
# ## A step that fails
#
# With labels that have nothing to do with the inputs a network can still memorize a sample, but it learns nothing that
# holds for others; the recipe stops there.

# %%
nnlab.recipe("recipe.steps=[1,2,3]", "data.label_noise=1", "name=shuffled")

# %% [markdown]
# ## All seven
#
# On two moons, in a few seconds. The test split is looked at once, at the end, next to simple models.

# %%
result = nnlab.recipe(
    "data=moons",
    "loss=binary_cross_entropy",
    "recipe.time_limit=10",
    "recipe.final_seeds=2",
    "recipe.rounds=1",
    "name=moons",
    "recipe.keep_going=true",
)
result

# %%
result.reports[8].numbers.test

# %% [markdown]
# The page with every number, figure and command is `report.html` in the folder; the trained networks lie in `final/`:

# %%
model = nnlab.load(result.directory / "final" / "seed=0")
model.predict_proba([[0.5, 0.25], [1.0, -0.5]])
