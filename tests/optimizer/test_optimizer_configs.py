"""One module, one YAML: every argument with its default, and tensors laid out for speed."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import nnlab.optimizer
from nnlab.optimizer import Adam, Optimizer
from nnlab.optimizer.memory import lanes

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "optimizer").glob("*.yaml"))


def as_lists(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_yaml_states_every_argument_with_its_default(path: Path) -> None:
    text = path.read_text()
    config = yaml.safe_load(text)
    package, _, name = config.pop("_target_").rpartition(".")
    optimizer = getattr(nnlab.optimizer, name)
    assert text.startswith("# ")
    assert package == "nnlab.optimizer"
    assert optimizer.__module__ == f"nnlab.optimizer.{path.stem}"
    parameters = inspect.signature(optimizer).parameters
    assert config == {key: as_lists(parameter.default) for key, parameter in parameters.items()}
    assert all(type(config[key]) is type(as_lists(parameters[key].default)) for key in config)
    assert isinstance(optimizer(**config), Optimizer)


def test_every_optimizer_has_a_yaml() -> None:
    concrete = {
        name
        for name, value in vars(nnlab.optimizer).items()
        if isinstance(value, type) and issubclass(value, Optimizer) and not inspect.isabstract(value)
    }
    named = {yaml.safe_load(path.read_text())["_target_"].rpartition(".")[2] for path in CONFIGS}
    assert concrete - named == {"TorchOptimizer", "TorchClosureOptimizer"}


@pytest.mark.parametrize("shape", [(1, 7), (3, 2000), (1, 269_322)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lanes_begin_at_different_places_of_a_page(shape: tuple[int, int], dtype: torch.dtype) -> None:
    theta = torch.ones(shape, dtype=dtype)
    tensors = lanes(theta, 3)
    places = [(tensor.data_ptr() - theta.data_ptr()) % 4096 for tensor in tensors]
    assert places == [512, 1024, 1536]
    for number, tensor in enumerate(tensors, start=1):
        assert not tensor.any()
        assert tensor.is_contiguous()
        assert tensor.shape == theta.shape
        tensor.fill_(number)
    assert [float(tensor.mean()) for tensor in tensors] == [1, 2, 3]  # none overlaps another


def test_state_does_not_lie_where_theta_and_gradient_do() -> None:
    theta = torch.zeros(1, 5000)
    state = Adam().initial_state(theta)
    assert [(tensor.data_ptr() - theta.data_ptr()) % 4096 for tensor in state.values()] == [1024, 1536]
