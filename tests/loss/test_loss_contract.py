"""What a loss promises around training: initial loss, floor, head, fitting tasks, and refusals."""

from __future__ import annotations

import math

import pytest
import torch
from loss_cases import SIZES, covariance, draw_outputs, draw_targets, every_case, load
from torch import Tensor
from torch.func import functional_call

from nnlab.errors import UserError
from nnlab.loss import GaussianNLL, Hinge, Loss, SoftmaxCrossEntropy, SquaredError, concrete_losses
from nnlab.types import Task

Case = tuple[Loss, Task]


@pytest.fixture(params=every_case())
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_the_loss_at_initialization_is_that_of_zero_outputs(case: Case) -> None:
    loss, task = case
    targets, size = draw_targets(task, 50), SIZES[task]
    zero = torch.zeros(50, loss.output_size(size), dtype=torch.float64)
    assert loss.initial_loss(targets, size) == pytest.approx(loss.losses(zero, targets).mean().item(), rel=1e-12)


def test_the_loss_of_a_prediction_is_that_of_the_outputs_that_make_it(case: Case) -> None:
    loss, task = case
    targets, outputs = draw_targets(task, 50), draw_outputs(loss, task, 50)
    found = loss.loss_of(loss.prediction(outputs), targets)
    assert found is not None
    if getattr(loss, "variance", "") != "covariance":  # whose prediction has the marginal variances alone
        assert found.item() == pytest.approx(loss.losses(outputs, targets).mean().item(), rel=1e-9)


def test_the_loss_at_initialization_for_a_constant_output_is_that_of_the_repeated_row(case: Case) -> None:
    loss, task = case
    targets, size = draw_targets(task, 50), SIZES[task]
    bias = draw_outputs(loss, task)
    expected = loss.losses(bias.repeat(50, 1), targets).mean().item()
    assert loss.initial_loss(targets, size, bias) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "arguments", "targets", "size", "expected"),
    [
        ("softmax_cross_entropy", {}, torch.zeros(4, dtype=torch.int64), 10, math.log(10)),
        ("softmax_cross_entropy", {"label_smoothing": 0.3}, torch.arange(4), 10, math.log(10)),
        ("softmax_cross_entropy", {"class_weights": [1, 3]}, torch.tensor([1, 1]), 2, 1.5 * math.log(2)),
        ("binary_cross_entropy", {}, torch.tensor([0, 1]), 2, math.log(2)),
        ("hinge", {}, torch.tensor([0, 1]), 2, 1),
        ("multiclass_svm", {}, torch.tensor([0, 1]), 10, 9),
        ("squared_error", {}, torch.tensor([0, 1]), 10, 0.5),
        ("squared_error", {}, torch.tensor([[3.0, 4.0]]), 2, 12.5),
        ("gaussian_nll", {}, torch.tensor([[3.0]]), 1, 0.5 * (math.log(2 * math.pi) + 9)),
        ("gaussian_nll", {"variance": "fixed", "fixed_variance": 9}, torch.tensor([[3.0]]), 1,
         0.5 * (math.log(18 * math.pi) + 1)),
    ],
)  # fmt: skip
def test_initial_losses_are_the_textbook_numbers(
    name: str, arguments: dict[str, object], targets: Tensor, size: int, expected: float
) -> None:
    assert load(name, **arguments).initial_loss(targets, size) == pytest.approx(expected, rel=1e-12)


def test_no_output_gets_below_the_floor_and_the_best_one_reaches_it(case: Case) -> None:
    loss, task = case
    targets, size = draw_targets(task, 12), SIZES[task]
    floor = loss.floor(targets, size)
    if floor is None:
        assert isinstance(loss, GaussianNLL)
        return
    outputs = draw_outputs(loss, task, 12)
    assert loss.losses(outputs, targets).mean() > floor
    for _ in range(1500):
        outputs -= 0.5 * loss.gradient(outputs, targets)
    assert loss.losses(outputs, targets).mean().item() == pytest.approx(floor, abs=5e-3)


def test_a_fresh_network_predicts_what_the_initial_loss_assumes(case: Case) -> None:
    """The head on zero features with zero biases gives zero outputs, of the size that is promised."""
    loss, task = case
    size = SIZES[task]
    head = loss.head(4, size)
    zeroed = {name: torch.zeros_like(parameter) for name, parameter in head.named_parameters()}
    outputs = functional_call(head, zeroed, (torch.ones(2, 5, 4),))
    assert outputs.shape == (2, 5, loss.output_size(size))
    assert not outputs.any()
    targets = draw_targets(task, 5, dtype=torch.float32)
    mean = loss.losses(outputs, targets).mean().item()
    assert mean == pytest.approx(loss.initial_loss(targets, size), rel=1e-6)


def test_the_shared_covariance_is_learned_by_its_maximum_likelihood() -> None:
    """Without inputs the best Gaussian has the sample's mean and covariance (closed form)."""
    random = torch.Generator().manual_seed(0)
    mix = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [-0.5, 0.3, 0.9]], dtype=torch.float64)
    targets = torch.randn(400, 3, generator=random, dtype=torch.float64) @ mix.T + 1
    torch.manual_seed(0)
    loss = GaussianNLL("covariance")
    head = loss.head(1, 3).double()
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")
    features = torch.zeros(400, 1, dtype=torch.float64)

    def closure() -> Tensor:
        optimizer.zero_grad()
        outputs = head(features)
        losses, gradient = loss.losses_and_gradient(outputs, targets)
        outputs.backward(gradient / 400)
        return losses.mean()

    optimizer.step(closure)
    mean, matrix = covariance(head(features)[0].detach())
    torch.testing.assert_close(mean, targets.mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(matrix, targets.T.cov(correction=0), rtol=1e-4, atol=1e-5)
    prediction = loss.prediction(head(features))[0].detach()
    torch.testing.assert_close(prediction, torch.cat([mean, matrix.diagonal()]), rtol=1e-9, atol=1e-9)


def test_a_wrong_task_is_refused_with_the_losses_that_fit() -> None:
    with pytest.raises(UserError) as refused:
        Hinge().check_fits(Task.MULTICLASS)
    assert str(refused.value) == (
        "loss `hinge` needs binary targets, but this data set is multiclass; "
        "losses that fit: multiclass_svm, softmax_cross_entropy, squared_error"
    )
    with pytest.raises(UserError, match=r"needs binary or multiclass targets.*fit: gaussian_nll, squared_error"):
        SoftmaxCrossEntropy().check_fits(Task.REGRESSION)


def test_fitting_tasks_pass_and_all_others_are_refused(case: Case) -> None:
    loss, _ = case
    for task in Task:
        if task in loss.tasks:
            loss.check_fits(task)
        else:
            with pytest.raises(UserError, match=f"loss `{loss.option()}` needs"):
                loss.check_fits(task)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("softmax_cross_entropy", {"label_smoothing": 1.0}, r"`label_smoothing` must be in \[0, 1\), got 1.0"),
        (
            "softmax_cross_entropy",
            {"class_weights": [1.0, -1.0]},
            r"`class_weights\[1\]` must be in \[0, inf\), got -1",
        ),
        ("softmax_cross_entropy", {"class_weights": [0.0, 0.0]}, "at least one weight above 0"),
        ("softmax_cross_entropy", {"class_weights": []}, "at least one weight above 0"),
        ("gaussian_nll", {"variance": "fixd"}, "`variance` has no option 'fixd'; did you mean `fixed`"),
        ("gaussian_nll", {"fixed_variance": 0.0}, r"`fixed_variance` must be in \(0, inf\), got 0.0"),
    ],
)
def test_bad_arguments_are_named(name: str, arguments: dict[str, object], message: str) -> None:
    cls = next(cls for cls in concrete_losses() if cls.option() == name)
    with pytest.raises(UserError, match=message):
        cls(**arguments)


def test_too_few_class_weights_are_refused_when_the_classes_are_known() -> None:
    with pytest.raises(UserError, match="one weight for each of the 10 classes, got 2"):
        SoftmaxCrossEntropy(class_weights=[1, 2]).fit(torch.arange(10), 10)


@pytest.mark.parametrize("loss", [SquaredError(), GaussianNLL("fixed")])
def test_targets_that_would_broadcast_are_refused(loss: Loss) -> None:
    with pytest.raises(ValueError, match="do not match"):
        loss.losses(torch.zeros(5, 1), torch.zeros(5))
