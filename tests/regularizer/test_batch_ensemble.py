"""Batch ensembles: every head is a network of its own with rank-one factors, and the loss is that of all of them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import nnlab
from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.errors import UserError
from nnlab.loss import BinaryCrossEntropy, GaussianNLL, Loss, SoftmaxCrossEntropy, SquaredError, concrete_losses
from nnlab.loss.heads import Heads, HeadsLinear
from nnlab.randomness import generator
from nnlab.regularizer.batch_ensemble import SharedLinear

HEADS = 4


def shared(first: bool = True) -> SharedLinear:
    layer = SharedLinear(nn.Linear(6, 5), HEADS, generator(0) if first else None)
    if not first:
        with torch.no_grad():
            layer.fast_in.normal_()
            layer.fast_out.normal_()
            layer.bias.normal_()
    return layer


def test_a_shared_layer_computes_the_equation_of_the_source() -> None:
    layer, x = shared(first=False), torch.randn(7, HEADS, 6)
    for head in range(HEADS):
        weight = layer.weight * torch.outer(layer.fast_out[head], layer.fast_in[head])
        torch.testing.assert_close(layer(x)[:, head], x[:, head] @ weight.T + layer.bias[head])


def test_heads_differ_at_first_by_the_signs_of_the_inputs_only() -> None:
    layer = shared()
    assert set(layer.fast_in.flatten().tolist()) == {-1.0, 1.0}
    assert (layer.fast_out == 1).all()
    x = torch.randn(7, 6)
    torch.testing.assert_close(layer(x)[:, 2], (x * layer.fast_in[2]) @ layer.weight.T + layer.bias[2])


def test_output_layers_are_the_heads_own() -> None:
    layer, x = HeadsLinear(5, 3, HEADS), torch.randn(7, HEADS, 5)
    expected = [x[:, h] @ layer.weight[3 * h : 3 * h + 3].T + layer.bias[3 * h : 3 * h + 3] for h in range(HEADS)]
    torch.testing.assert_close(layer(x), torch.cat(expected, 1))
    torch.testing.assert_close(layer(x[:, 0]), layer(x[:, :1].expand(-1, HEADS, -1)))


LOSSES: dict[str, tuple[Loss, int, Tensor]] = {
    "softmax": (SoftmaxCrossEntropy(label_smoothing=0.1), 3, torch.randint(3, (9,))),
    "binary": (BinaryCrossEntropy(), 2, torch.randint(2, (9,))),
    "squared": (SquaredError(), 2, torch.randn(9, 2)),
    "gaussian": (GaussianNLL(), 1, torch.randn(9, 1)),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("members", [0, 2])
def test_the_loss_is_the_mean_over_the_heads_and_so_is_its_gradient(name: str, members: int) -> None:
    base, size, targets = LOSSES[name]
    loss, one = Heads(base, HEADS), base.output_size(size)
    leading = (members,) if members else ()
    outputs = torch.randn(*leading, 9, HEADS * one, dtype=torch.float64, requires_grad=True)
    targets = targets.double() if targets.is_floating_point() else targets
    each = [base.losses(outputs[..., h * one : (h + 1) * one], targets) for h in range(HEADS)]
    losses = loss.losses(outputs, targets)
    torch.testing.assert_close(losses, torch.stack(each).mean(0))
    (expected,) = torch.autograd.grad(losses.sum(), outputs)
    found, gradient = loss.losses_and_gradient(outputs, targets)
    torch.testing.assert_close(found, losses)
    torch.testing.assert_close(gradient, expected)
    predictions = [base.prediction(outputs[..., h * one : (h + 1) * one]) for h in range(HEADS)]
    torch.testing.assert_close(loss.prediction(outputs), base.combine(torch.stack(predictions)))


def test_heads_are_no_option_of_their_own() -> None:
    assert Heads not in concrete_losses()


def config(*more: str) -> dict[str, object]:
    lines = ["callbacks=[]", "data.limit=200", "architecture.widths=[12,8]", "trainer.epochs=3"]
    return compose(*lines, "regularizer=[batch_ensemble]", f"regularizer.batch_ensemble.heads={HEADS}", *more)


def test_a_network_of_heads_equals_its_networks_side_by_side() -> None:
    trainer = build_trainer([config()])
    trainer.fit()
    network, x = trainer.stack.member(0), trainer.members[0].dataset.test.inputs[:20]
    parts = []
    for head in range(HEADS):
        layers = copy.deepcopy(network)
        own = nn.Sequential(nn.Flatten())
        for child in layers.children():
            if isinstance(child, SharedLinear):
                linear = nn.Linear(child.in_features, child.out_features)
                weight = child.weight * torch.outer(child.fast_out[head], child.fast_in[head])
                linear.load_state_dict({"weight": weight.detach(), "bias": child.bias[head].detach()})
                own.append(linear)
            elif isinstance(child, HeadsLinear):
                linear = nn.Linear(child.in_features, 10)
                rows = slice(10 * head, 10 * head + 10)
                linear.load_state_dict({"weight": child.weight[rows].detach(), "bias": child.bias[rows].detach()})
                own.append(linear)
            else:
                own.append(child)
        parts.append(own(x).softmax(1))
    torch.testing.assert_close(trainer.loss.prediction(network(x)), torch.stack(parts).mean(0))
    factors = [slot.name for slot in trainer.stack.layout.slots if slot.is_weight]
    assert factors == ["linear1.weight", "linear2.weight", "output.weight"]  # penalties leave the factors alone


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["architecture=convnet", "~architecture.widths"], "Conv2d"),
        (["architecture.batch_norm=true"], "without batch norm"),
        (["regularizer.batch_ensemble.heads=0"], "heads"),
        (["data=diabetes", "loss=gaussian_nll", "loss.variance=covariance"], "covariance"),
        (["regularizer=[batch_ensemble,dropconnect]"], "dropconnect"),
    ],
)
def test_what_does_not_go_together_is_said(more: list[str], message: str) -> None:
    lines = [line for line in ("architecture.widths=[12,8]",) if "~architecture.widths" not in more]
    with pytest.raises(UserError, match=message):
        build_trainer(
            [compose("callbacks=[]", "regularizer=[batch_ensemble]", *lines, *(m for m in more if m[0] != "~"))]
        )


def test_a_run_with_heads_predicts_and_is_evaluated_as_it_was_trained(tmp_path: Path) -> None:
    lines = ["data.limit=200", "architecture.widths=[12]", "trainer.epochs=3", "regularizer.batch_ensemble.heads=3"]
    result = nnlab.train("regularizer=[batch_ensemble]", *lines, f"output_dir={tmp_path}", "callbacks=[checkpoint]")
    again = nnlab.evaluate(result.directory)
    assert again.metrics["nll"] == pytest.approx(result.metrics["test"]["nll"], rel=1e-6)
    assert nnlab.load(result.directory).predict_proba(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
