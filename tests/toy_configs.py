"""A small tree of configs with toy components, in place of nnlab's own."""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path
from typing import Any, Literal

import pytest
from torch import nn

from nnlab.config import folder
from nnlab.data.base import Source
from nnlab.data.preprocessing.base import Preprocessing
from nnlab.optimizer.base import FirstOrder
from nnlab.regularizer import Regularizer
from nnlab.training import TrainerSettings
from nnlab.validation import check as in_interval


class Base(FirstOrder):
    """The class of the toy optimizers."""

    def initial_state(self, theta: Any) -> Any: ...

    def update(self, *arguments: Any) -> None: ...


class Adam(Base):
    def __init__(
        self,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        amsgrad: bool = False,
        clip: float | None = None,
        mode: Literal["plain", "nesterov"] = "plain",
        inner: Base | None = None,
        device: str = "auto",
    ) -> None:
        self.learning_rate = in_interval("learning_rate", learning_rate, "(0, inf)")


class Sgd(Base):
    def __init__(self, learning_rate: float, momentum: float = 0.0) -> None:
        in_interval("momentum", momentum, "[0, 1)")


class Mlp(nn.Module):
    def __init__(self, input_shape: tuple[int, ...], head: Any, activation: Any, widths: list[int]) -> None:
        raise AssertionError("checking must not build a network")


class Digits(Source):
    def __init__(self, limit: int | None = None) -> None:
        raise AssertionError("checking must not load data")


class Standardize(Preprocessing):
    def __init__(self, eps: float = 1e-8) -> None: ...


class WeightDecay(Regularizer):
    def __init__(self, strength: float = 0.0) -> None:
        in_interval("strength", strength, "[0, inf)")


class Open(Base):
    def __init__(self, **options: Any) -> None: ...


@dataclasses.dataclass(frozen=True)
class Settings(TrainerSettings):
    epochs: float | None = 30
    batch_size: int | Literal["full"] = 32
    device: str = "auto"
    threads: int | None = None
    time_limit: float | None = None

    def __post_init__(self) -> None: ...


CONFIGS = {
    "train.yaml": """
        defaults:
          - data: digits
          - data/preprocessing: standardize
          - architecture: mlp
          - optimizer: adam
          - regularizer: [weight_decay]
          - _self_
          - experiment: null
          - override hydra/job_logging: none
          - override hydra/hydra_logging: none
        name: train
        output_dir: outputs
        resume: null
        seed: 0
        data_root: ${oc.env:NNLAB_DATA,null}
        trainer: {_target_: toy.Settings, epochs: 30, batch_size: 32, device: auto, threads: null, time_limit: null}
        sweep: {retries: 1, zip: [], dry_run: false}
        hydra:
          output_subdir: null
          run: {dir: .}
          sweep: {dir: "${output_dir}/${name}", subdir: .}
    """,
    "data/digits.yaml": """
        # Digits of 8 x 8 pixels.
        _target_: toy.Digits
        limit: null
    """,
    "data/preprocessing/standardize.yaml": """
        # Mean 0, standard deviation 1.
        _target_: toy.Standardize
        eps: 1.0e-8
    """,
    "architecture/mlp.yaml": """
        # Fully connected layers.
        _target_: toy.Mlp
        widths: [8]
    """,
    "optimizer/adam.yaml": """
        # Adam (Kingma and Ba 2015).
        _target_: toy.Adam
        learning_rate: 0.001
        betas: [0.9, 0.999]
        amsgrad: false
        clip: null
        mode: plain
        inner: null
    """,
    "optimizer/sgd.yaml": """
        # Plain gradient descent.
        _target_: toy.Sgd
        learning_rate: 0.1
        momentum: 0.0
    """,
    "optimizer/open.yaml": """
        # Takes anything.
        _target_: toy.Open
    """,
    "optimizer/misspelt.yaml": """
        # A target that does not exist.
        _target_: toy.Adm
    """,
    "optimizer/elsewhere.yaml": """
        # A module that does not exist.
        _target_: toyy.optimizer.Adam
    """,
    "optimizer/incomplete.yaml": """
        # A required key is missing.
        _target_: toy.Sgd
    """,
    "optimizer/wrong.yaml": """
        # A key too many.
        _target_: toy.Sgd
        learning_rate: 0.1
        momentun: 0.9
    """,
    "optimizer/broken.yaml": """
        # Not YAML.
        _target_: [toy.Sgd
    """,
    "optimizer/dangling.yaml": """
        # A reference to nothing.
        _target_: toy.Sgd
        learning_rate: ${optimizer.rate}
    """,
    "regularizer/weight_decay.yaml": """
        # @package regularizer.weight_decay
        # Penalty on squared weights.
        _target_: toy.WeightDecay
        strength: 0
    """,
    "regularizer/dropout.yaml": """
        # @package regularizer.dropout
        # Zeroes random units.
        _target_: toy.WeightDecay
        strength: 0.5
    """,
    "experiment/quick.yaml": """
        # @package _global_
        # A run of seconds.
        trainer:
          epochs: 2
    """,
    "experiment/typo.yaml": """
        # @package _global_
        # Sets a key that does not exist.
        trainer:
          epoch: 2
    """,
    "experiment/astray.yaml": """
        # @package _global_
        # Names an option that does not exist.
        defaults:
          - override /optimizer: adm
    """,
}


def write_configs(root: Path, configs: dict[str, str]) -> Path:
    """Write files of a config folder, with the indentation of a test removed."""
    for name, text in configs.items():
        lines = [line.removeprefix("        ") for line in text.strip("\n").splitlines()]
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines).rstrip() + "\n")
    return root


@pytest.fixture(name="toy")
def toy_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree of configs, in place of nnlab's own, with components of this file."""
    module = types.ModuleType("toy")
    for component in (Adam, Sgd, Mlp, Digits, Standardize, WeightDecay, Open, Settings):
        setattr(module, component.__name__, component)
    monkeypatch.setitem(sys.modules, "toy", module)
    root = write_configs(tmp_path / "configs", CONFIGS)
    monkeypatch.setattr(folder, "config_folder", lambda: root)
    monkeypatch.delenv("NNLAB_DATA", raising=False)
    monkeypatch.setenv("NNLAB_TRUST", "toy,toy_configs")
    return root
