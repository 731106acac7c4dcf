"""What a stack captures of its layers is what each network's own forward pass gives, and leaves no trace."""

from __future__ import annotations

import weakref

import pytest
import torch

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.regularizer.base import NoiseModule
from nnlab.training.stack import Stack, gradients

NETWORKS = {
    "mlp": ["architecture.widths=[6,5]"],
    "mlp with batch norm and dropout": ["architecture.batch_norm=true", "regularizer=[dropout]"],
    "convnet": ["architecture=convnet", "architecture.channels=[2,3]", "architecture.hidden=6"],
}


@pytest.mark.parametrize("overrides", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("members", [1, 2])
def test_captured_outputs_are_those_of_every_layer(overrides: list[str], members: int) -> None:
    common = ["callbacks=[]", "data.limit=40", "trainer.precision=float64", "trainer.device=cpu", *overrides]
    trainer = build_trainer([compose(*common, f"seed={seed}", "data_seed=0") for seed in range(members)])
    stack = trainer.stack
    inputs, _ = trainer.engine.minibatch(0)
    names = [name for name, _ in stack.network.named_modules() if "activation" in name]
    assert names
    before = {name: value.clone() for name, value in stack.buffers.items()}
    captured = stack.capture(inputs, names)
    reference = Stack.capture(stack, inputs, names) if members > 1 else _alone(stack, inputs, names)
    for name in names:
        torch.testing.assert_close(captured[name], reference[name])
    for name, value in before.items():
        torch.testing.assert_close(stack.buffers[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("overrides", [*NETWORKS.values(), ["activation=prelu"]], ids=[*NETWORKS, "prelu"])
@pytest.mark.parametrize("members", [1, 2])
def test_what_a_backward_pass_leaves_behind_is_what_capturing_finds(overrides: list[str], members: int) -> None:
    common = ["callbacks=[]", "data.limit=40", "trainer.precision=float64", "trainer.device=cpu", *overrides]
    trainer = build_trainer([compose(*common, f"seed={seed}", "data_seed=0") for seed in range(members)])
    stack = trainer.stack
    names = [name for name, _ in stack.network.named_modules() if "activation" in name]
    trainer.engine.begin(0)
    trainer.engine.backward()
    remembered = {name: value.clone() for name, value in stack.remembered(trainer.inputs, names).items()}
    captured = stack.capture(trainer.inputs, names)
    for name in names:
        torch.testing.assert_close(remembered[name], captured[name])


def test_compiled_chains_keep_nothing_of_what_was_captured() -> None:
    common = ["callbacks=[]", "data.limit=40", "trainer.engine=native", "regularizer=[dropout,dropconnect]"]
    trainer = build_trainer([compose(*common, f"seed={seed}", "data_seed=0") for seed in range(2)])
    stack = trainer.stack
    captured = stack.capture(trainer.engine.minibatch(0)[0], [name for name, _ in stack.network.named_children()])
    seen = {name: weakref.ref(value) for name, value in captured.items()}
    assert len(seen) > 4
    del captured
    assert not [name for name, value in seen.items() if value() is not None]


def test_a_validation_is_known_until_the_next_step() -> None:
    trainer = build_trainer([compose("callbacks=[]", "data.limit=40", "trainer.device=cpu", "trainer.epochs=1")]).fit()
    assert trainer.validation() is trainer.validation()
    trainer.step += 1
    assert trainer.validation() is not trainer.validation()


def _alone(stack: Stack, inputs: torch.Tensor, names: list[str]) -> dict[str, torch.Tensor]:
    """The outputs of the only member's network in its own forward pass."""
    network = stack.member(0).train()
    for module in network.modules():
        if isinstance(module, NoiseModule):
            module.key, module.p = module.key.reshape(()), module.p.reshape(())
    seen: dict[str, torch.Tensor] = {}
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.__setitem__(name, output.detach())
        )
    network(inputs[0])
    return {name: value.unsqueeze(0) for name, value in seen.items()}


def test_gradients_are_those_of_a_torch_that_does_not_show_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    used, unused = torch.randn(3, 4, requires_grad=True), torch.randn(2, requires_grad=True)
    inputs, error = torch.randn(5, 3), torch.randn(5, 4)
    value, none = gradients(torch.tanh(inputs @ used), (used, unused), error)
    monkeypatch.setattr(torch.autograd, "Variable", object())  # without `_execution_engine`
    public, nothing = gradients(torch.tanh(inputs @ used), (used, unused), error)
    assert none is nothing is None
    assert torch.equal(value, public)
