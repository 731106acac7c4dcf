"""Every loss: value against an independent reference, gradient against autograd, and the promises of the contract."""

from __future__ import annotations

import inspect
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import CONFIGS, covariance, draw_outputs, draw_targets, every_case, load, positive
from omegaconf import OmegaConf
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal
from torch.func import grad, jacfwd, vmap

import nnlab.loss
from nnlab.loss import GaussianNLL, Loss, SoftmaxCrossEntropy, SquaredError, concrete_losses
from nnlab.loss.gaussian_nll import VARIANCE_FLOOR
from nnlab.members import merge
from nnlab.types import Task

Case = tuple[Loss, Task]
CLOSE = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture(params=every_case())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def reference(loss: Loss, outputs: Tensor, target: Tensor) -> Tensor:
    """Loss of one example, by torch's own functions or the definition, times the weight of its class."""
    weights = getattr(loss, "class_weights", None)
    return unweighted(loss, outputs, target) * (1 if weights is None else weights[int(target)])


def unweighted(loss: Loss, outputs: Tensor, target: Tensor) -> Tensor:
    if isinstance(loss, SquaredError):
        y = target if target.is_floating_point() else F.one_hot(target, len(outputs)).to(outputs.dtype)
        return 0.5 * F.mse_loss(outputs, y, reduction="sum")
    if isinstance(loss, GaussianNLL):
        if loss.variance == "covariance":
            mean, matrix = covariance(outputs)
            return -MultivariateNormal(mean, matrix).log_prob(target)
        std = (
            math.sqrt(loss.fixed_variance) if loss.variance == "fixed" else positive(outputs[3:], VARIANCE_FLOOR).sqrt()
        )
        return -Normal(outputs[:3], std).log_prob(target).sum()
    if isinstance(loss, SoftmaxCrossEntropy):
        return F.cross_entropy(outputs, target, label_smoothing=loss.label_smoothing)
    if loss.option() == "binary_cross_entropy":
        return F.binary_cross_entropy_with_logits(outputs[0], target.to(outputs.dtype))
    if loss.option() == "hinge":
        sign = (2 * target - 1).to(outputs.dtype)
        return F.margin_ranking_loss(outputs[0], torch.zeros_like(outputs[0]), sign, margin=1)
    return len(outputs) * F.multi_margin_loss(outputs, target)


def test_every_loss_has_one_config_and_says_its_defaults_there() -> None:
    classes = {cls.option(): cls for cls in concrete_losses()}
    assert sorted(classes) == [path.stem for path in CONFIGS]
    for path in CONFIGS:
        assert path.read_text().startswith("# ")
        keys = dict(OmegaConf.load(path))
        cls = classes[path.stem]
        assert keys.pop("_target_") == f"nnlab.loss.{cls.__name__}"
        assert cls.__name__ in nnlab.loss.__all__
        signature = inspect.signature(cls)
        assert keys == {name: parameter.default for name, parameter in signature.parameters.items()}


def test_the_loss_is_that_of_the_reference_for_each_member_and_example(case: Case) -> None:
    loss, task = case
    outputs, targets = draw_outputs(loss, task, 2, 5), draw_targets(task, 2, 5)
    expected = [[reference(loss, outputs[m, n], targets[m, n]) for n in range(5)] for m in range(2)]
    torch.testing.assert_close(loss.losses(outputs, targets), torch.tensor(expected).double(), **CLOSE)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_that_of_autograd(case: Case, leading: tuple[int, ...], dtype: torch.dtype) -> None:
    loss, task = case
    outputs = draw_outputs(loss, task, *leading, 7, dtype=dtype).requires_grad_()
    targets = draw_targets(task, *leading, 7, dtype=dtype)
    losses = loss.losses(outputs, targets)
    assert losses.shape == (*leading, 7)
    (expected,) = torch.autograd.grad(losses.sum(), outputs)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else CLOSE
    torch.testing.assert_close(loss.gradient(outputs, targets).detach(), expected, **tolerance)
    both = loss.losses_and_gradient(outputs, targets)
    assert not any(result.requires_grad for result in both)
    torch.testing.assert_close(both, (losses.detach(), expected), **tolerance)
    assert both[1].is_contiguous()


def test_gradcheck(case: Case) -> None:
    loss, task = case
    outputs, targets = draw_outputs(loss, task, 2, 3).requires_grad_(), draw_targets(task, 2, 3)
    assert torch.autograd.gradcheck(lambda x: loss.losses(x, targets), outputs)


def test_targets_shared_by_all_members_count_for_each(case: Case) -> None:
    loss, task = case
    outputs, targets = draw_outputs(loss, task, 3, 5), draw_targets(task, 5)
    repeated = targets.expand(3, *targets.shape)
    torch.testing.assert_close(
        loss.losses_and_gradient(outputs, targets), loss.losses_and_gradient(outputs, repeated), rtol=0, atol=0
    )
    prediction = loss.prediction(outputs)
    torch.testing.assert_close(loss.metrics(prediction, targets), loss.metrics(prediction, repeated), rtol=0, atol=0)


def test_inputs_are_left_as_they_were(case: Case) -> None:
    loss, task = case
    outputs, targets = draw_outputs(loss, task, 2, 5), draw_targets(task, 2, 5)
    before = outputs.clone(), targets.clone()
    loss.losses_and_gradient(outputs, targets)
    loss.metrics(loss.prediction(outputs), targets)
    torch.testing.assert_close((outputs, targets), before, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # from inside torch's jacfwd
def test_vmap_over_members_and_second_derivatives_work(case: Case) -> None:
    """What an engine may do: map over members, and take a Hessian forward over reverse, even before anything else."""
    loss, task = case
    outputs, targets = draw_outputs(loss, task, 2, 5), draw_targets(task, 2, 5)
    hessian = jacfwd(grad(lambda x: loss.losses(x, targets[0]).sum()))(outputs[0])
    expected = torch.autograd.functional.hessian(lambda x: loss.losses(x, targets[0]).sum(), outputs[0])
    torch.testing.assert_close(hessian, expected, **CLOSE)
    mapped = vmap(loss.losses_and_gradient)(outputs, targets)
    torch.testing.assert_close(mapped, loss.losses_and_gradient(outputs, targets), **CLOSE)


def test_a_loss_first_used_for_evaluation_can_still_train(case: Case) -> None:
    loss, task = case
    nnlab.loss.gaussian_nll._layout.cache_clear()
    nnlab.loss.class_weights.table.cache_clear()
    outputs, targets = draw_outputs(loss, task, 4).requires_grad_(), draw_targets(task, 4)
    with torch.inference_mode():
        before = loss.losses(outputs, targets).tolist()
    after = loss.losses(outputs, targets)
    after.sum().backward()
    assert before == after.tolist()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_outputs_give_losses_in_single_precision(case: Case, dtype: torch.dtype) -> None:
    loss, task = case
    outputs, targets = draw_outputs(loss, task, 6).to(dtype), draw_targets(task, 6, dtype=torch.float32)
    losses, gradient = loss.losses_and_gradient(outputs, targets)
    wide = loss.losses_and_gradient(outputs.float(), targets)
    torch.testing.assert_close(losses, wide[0], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, wide[1].to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_huge_outputs_stay_finite(case: Case, size: float, dtype: torch.dtype) -> None:
    loss, task = case
    signs = draw_outputs(loss, task, 2, 16, dtype=dtype).sign()
    for outputs in (size * signs, torch.full_like(signs, size)):
        targets = draw_targets(task, 2, 16, dtype=dtype)
        losses, gradient = loss.losses_and_gradient(outputs, targets)
        metrics = loss.metrics(loss.prediction(outputs), targets)
        for value in (losses, gradient, *metrics.values()):
            assert torch.isfinite(value).all()


def test_softmax_and_sigmoid_at_huge_logits_are_exact() -> None:
    softmax, binary = load("softmax_cross_entropy"), load("binary_cross_entropy")
    losses, gradient = softmax.losses_and_gradient(torch.tensor([[1e4, -1e4, 0.0]] * 2), torch.tensor([0, 1]))
    assert losses.tolist() == [0, 2e4]
    assert gradient.tolist() == [[0, 0, 0], [1, -1, 0]]
    losses, gradient = binary.losses_and_gradient(torch.tensor([[1e4], [1e4]]), torch.tensor([1, 0]))
    assert losses.tolist() == [0, 1e4]
    assert gradient.tolist() == [[0], [1]]


@pytest.mark.parametrize("classes", [2, 10, 63, 64, 200])
@pytest.mark.parametrize("leading", [(7,), (3, 7)])
def test_the_fast_softmax_equals_torchs_for_any_number_of_classes(classes: int, leading: tuple[int, ...]) -> None:
    loss = load("softmax_cross_entropy")
    outputs = 5 * torch.randn(*leading, classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.randint(classes, leading, generator=torch.Generator().manual_seed(1))
    losses, gradient = loss.losses_and_gradient(outputs, targets)
    flat = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none")
    torch.testing.assert_close(losses.flatten(), flat, **CLOSE)
    torch.testing.assert_close(gradient, outputs.softmax(-1) - F.one_hot(targets, classes), **CLOSE)


@given(
    st.lists(st.floats(-50, 50), min_size=2, max_size=6),
    st.floats(-100, 100),
    st.floats(0, 0.9, allow_subnormal=False),
    st.data(),
)
@settings(max_examples=50, deadline=None)
def test_softmax_ignores_a_shift_of_all_logits(
    logits: list[float], shift: float, smoothing: float, data: st.DataObject
) -> None:
    loss = SoftmaxCrossEntropy(smoothing)
    target = torch.tensor([data.draw(st.integers(0, len(logits) - 1))])
    outputs = torch.tensor([logits], dtype=torch.float64)
    here, there = loss.losses_and_gradient(outputs, target), loss.losses_and_gradient(outputs + shift, target)
    torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-9)
    assert abs(here[1].sum().item()) < 1e-12
    assert here[0].item() >= loss.floor(target, len(logits)) - 1e-9


def test_class_weights_leave_the_mean_of_a_balanced_set_to_torchs_convention() -> None:
    weights = [0.2, 5.0, 1.3]
    outputs, targets = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double(), torch.arange(9) % 3
    expected = F.cross_entropy(outputs, targets, weight=torch.tensor(weights, dtype=torch.float64))
    mean = SoftmaxCrossEntropy(class_weights=weights).losses(outputs, targets).mean()
    torch.testing.assert_close(mean, expected, **CLOSE)


def test_members_with_their_own_label_smoothing_equal_the_single_runs() -> None:
    members = [SoftmaxCrossEntropy(smoothing, [1.0, 2.0, 3.0]) for smoothing in (0.0, 0.1, 0.4)]
    merged = merge(members, dtype=torch.float64)
    outputs, targets = draw_outputs(merged, Task.MULTICLASS, 3, 5), draw_targets(Task.MULTICLASS, 3, 5)
    single = [loss.losses_and_gradient(outputs[m], targets[m]) for m, loss in enumerate(members)]
    stacked = tuple(torch.stack(parts) for parts in zip(*single, strict=True))
    torch.testing.assert_close(merged.losses_and_gradient(outputs, targets), stacked, **CLOSE)
