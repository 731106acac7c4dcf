"""Claims about dropout and DropConnect: what is drawn, the same for one network and many, and what is used later."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional

from nnlab.errors import UserError
from nnlab.members import merge
from nnlab.randomness import fold
from nnlab.regularizer import DropConnect, DropConnectLinear, Dropout, DropoutLayer, NoiseModule

KEYS = fold(torch.arange(3), 7)


def linear(inputs: int = 5, outputs: int = 4) -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(inputs, outputs).double()


def noisy_layers(p: float) -> dict[str, NoiseModule]:
    """One of each kind, in float64, for inputs (N, 5)."""
    return {
        "dropout": DropoutLayer(p).double(),
        "dropout scaled at test time": DropoutLayer(p, inverted=False).double(),
        "dropconnect": DropConnectLinear(linear(), p).double(),
        "dropconnect per example": DropConnectLinear(linear(), p, per="example").double(),
    }


NAMES = list(noisy_layers(0.5))


def with_key(module: NoiseModule, key: Tensor) -> NoiseModule:
    module.key = key
    return module


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_masks_drop_the_fraction_p_and_have_expectation_one(p: float) -> None:
    layer = with_key(DropoutLayer(p), KEYS)
    mask = layer.mask((200, 100))
    assert mask.shape == (3, 200, 100)
    n = mask[0].numel()
    dropped = (mask == 0).double().mean((1, 2))
    assert (dropped - p).abs().max() <= 5 * math.sqrt(p * (1 - p) / n)
    assert torch.unique(mask[mask > 0]).tolist() == pytest.approx([1 / (1 - p)])
    assert (mask.double().mean((1, 2)) - 1).abs().max() <= 5 * math.sqrt(p / (1 - p) / n) + 1e-6


def test_units_examples_and_members_are_dropped_independently() -> None:
    mask = (with_key(DropoutLayer(0.5), KEYS).mask((20000, 2)) > 0).double()
    for one, other in [(mask[0, :, 0], mask[0, :, 1]), (mask[0, 1:, 0], mask[0, :-1, 0]), (mask[0], mask[1])]:
        correlation = torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]
        assert correlation.abs() < 5 / math.sqrt(20000)


def test_the_same_key_gives_the_same_mask_and_another_key_another() -> None:
    layer = DropoutLayer(0.5)
    masks = [with_key(layer, KEYS[i]).mask((50, 20)) for i in (0, 0, 1)]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


@pytest.mark.parametrize("name", NAMES)
def test_members_draw_what_they_draw_alone(name: str) -> None:
    """Mapped by vmap with keys and p of their own, each member is bit for bit the layer alone."""
    rates = (0.0, 0.3, 0.8)
    x = torch.randn(3, 6, 5, dtype=torch.float64)
    alone = [with_key(noisy_layers(p)[name], KEYS[row]) for row, p in enumerate(rates)]
    parameters, buffers = stack_module_state(alone)
    template = copy.deepcopy(alone[0])

    def forward(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(template, (parameters, buffers), (x,))

    mapped = vmap(forward)(parameters, buffers, x)
    for row, layer in enumerate(alone):
        expected = layer(x[row])
        if isinstance(layer, DropoutLayer):
            assert torch.equal(mapped[row], expected)
        torch.testing.assert_close(mapped[row], expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("inverted", [True, False])
def test_dropout_with_the_keys_of_a_population_takes_the_stacked_values(inverted: bool, dtype: torch.dtype) -> None:
    x, p = torch.randn(3, 6, 2, 5, dtype=dtype), torch.tensor([0.0, 0.3, 0.8], dtype=dtype)
    stacked, alone = DropoutLayer(p, inverted), [DropoutLayer(float(rate), inverted).to(dtype) for rate in p]
    stacked.key = KEYS
    for training in (True, False):
        y = stacked.train(training)(x)
        masks = stacked.mask((6, 2, 5))
        for row, layer in enumerate(alone):
            assert torch.equal(y[row], with_key(layer, KEYS[row]).train(training)(x[row]))
            assert torch.equal(masks[row], layer.mask((6, 2, 5)))
        assert y.dtype == dtype


@pytest.mark.parametrize("per", ["batch", "example"])
def test_dropconnect_masks_the_weights_with_the_numbers_that_mask_returns(per: str) -> None:
    layers = [with_key(DropConnectLinear(linear(), 0.5, per=per).double(), key) for key in KEYS]
    together = with_key(DropConnectLinear(linear(), torch.full((3, 1), 0.5), per=per).double(), KEYS)
    x = torch.randn(6, 5, dtype=torch.float64)
    shape = (4, 5) if per == "batch" else (6, 4, 5)
    masks = together.mask(shape)
    for row, layer in enumerate(layers):
        assert torch.equal(masks[row], layer.mask(shape))
        weights = (layer.weight * masks[row]).expand(6, 4, 5)
        expected = torch.stack([weights[n] @ x[n] + layer.bias for n in range(6)])
        torch.testing.assert_close(layer(x), expected, rtol=1e-13, atol=1e-13)


def test_one_mask_per_example_also_for_sequences() -> None:
    layer = with_key(DropConnectLinear(linear(), 0.5, per="example").double(), KEYS[0])
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    expected = torch.stack([layer(x[:, t]) for t in range(3)], dim=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_p_zero_is_exactly_the_layer_without_noise(name: str) -> None:
    x = torch.randn(6, 5, dtype=torch.float64)
    x[0, 0] = torch.inf
    layer = with_key(noisy_layers(0.0)[name], KEYS[0])
    expected = linear()(x) if isinstance(layer, DropConnectLinear) else x
    if layer.training and name == "dropconnect per example":
        torch.testing.assert_close(layer(x), expected, rtol=1e-14, atol=1e-14)
    else:
        assert torch.equal(layer(x), expected)
    assert torch.equal(layer.eval()(x), expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_over_masks_is_the_pass_at_test_time(name: str) -> None:
    """Both are linear in the mask, so the expectation is exact; 4000 masks, five standard errors."""
    layer = noisy_layers(0.4)[name]
    x = torch.randn(2, 5, dtype=torch.float64)
    draws = vmap(lambda key: functional_call(layer, {"key": key}, (x,)))(fold(torch.arange(4000), 1))
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - layer.eval()(x)).abs() <= 5 * error + 1e-12).all()


def test_scaling_at_test_time_multiplies_by_the_keep_probability() -> None:
    x = torch.rand(4, 5) + 1
    layer = with_key(DropoutLayer(0.2, inverted=False), KEYS[0])
    assert set((layer(x) / x).flatten().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(layer.eval()(x), 0.8 * x)


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_is_random_only_while_sampling(name: str) -> None:
    layer, x = noisy_layers(0.5)[name].eval(), torch.randn(6, 5, dtype=torch.float64)
    outputs = {}
    for sampling in (False, True):
        layer.sampling = sampling
        outputs[sampling] = [with_key(layer, key)(x) for key in KEYS]
    assert torch.equal(outputs[False][0], outputs[False][1])
    assert not torch.equal(outputs[True][0], outputs[True][1])
    assert torch.equal(outputs[True][2], layer.train()(x))


def test_gaussian_inference_has_the_moments_of_the_masked_layer() -> None:
    """Wan et al. 2013, section 4.2, against the exact moments over all 2^5 masks of a unit with five weights."""
    p, x = 0.3, torch.randn(1, 5, dtype=torch.float64)
    layer = DropConnectLinear(linear(), p, inference="gaussian").double().eval()
    layer.sampling = True
    draws = vmap(lambda key: functional_call(layer, {"key": key}, (x,)))(fold(torch.arange(20000), 1))[:, 0]
    bits = (torch.arange(32).unsqueeze(1) >> torch.arange(5)) & 1
    chance = torch.where(bits == 1, 1 - p, p).double().prod(1)
    values = (bits / (1 - p) * x) @ layer.weight.T + layer.bias
    mean = chance @ values
    variance = chance @ (values - mean).square()
    torch.testing.assert_close(mean, functional.linear(x, layer.weight, layer.bias)[0])
    assert ((draws.mean(0) - mean).abs() <= 5 * torch.sqrt(variance / 20000)).all()
    torch.testing.assert_close(draws.var(0), variance, rtol=5 * math.sqrt(2 / 20000), atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_a_constant_mask(name: str) -> None:
    layer = with_key(noisy_layers(0.5)[name], KEYS[0])
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_dropconnect_keeps_the_parameter_objects() -> None:
    plain = linear()
    layer = DropConnectLinear(plain, 0.5)
    assert layer.weight is plain.weight
    assert layer.bias is plain.bias
    assert DropConnectLinear(nn.Linear(3, 2, bias=False), 0.5)(torch.randn(4, 3)).shape == (4, 2)


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_rates_are_not_saved_with_the_weights(name: str) -> None:
    layer = noisy_layers(0.5)[name]
    assert dict(layer.named_buffers()).keys() == {"p", "key"}
    assert layer.state_dict().keys() == dict(layer.named_parameters()).keys()


def test_masks_leave_the_precision_of_activations_as_it_is() -> None:
    x = torch.randn(3, 5, dtype=torch.bfloat16)
    assert with_key(DropoutLayer(0.5), KEYS[0])(x).dtype == torch.bfloat16


def test_a_merged_regularizer_gives_layers_with_one_rate_for_each_member() -> None:
    merged = merge([Dropout(0.1, input_p=0.0), Dropout(0.5, input_p=0.2)])
    network = merged.apply(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    assert torch.equal(network.input_dropout.p, torch.tensor([0.0, 0.2]))
    assert torch.equal(network.dropout1.p, torch.tensor([0.1, 0.5]))
    assert network.dropout1.key.shape == (2,)


def test_averaging_inference_tells_the_engine_how_many_passes_to_average() -> None:
    def samples(regularizer: Dropout | DropConnect) -> set[int]:
        network = regularizer.apply(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
        return {module.samples for module in network.modules() if isinstance(module, NoiseModule)}

    assert samples(Dropout()) == samples(DropConnect()) == {0}
    assert samples(Dropout(inference="monte_carlo", samples=7)) == {7}
    assert samples(DropConnect(inference="gaussian", samples=9)) == {9}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"p": 1.0}, r"`p` must be in \[0, 1\), got 1.0"),
        ({"p": -0.1}, r"`p` must be in \[0, 1\), got -0.1"),
        ({"samples": 0}, r"`samples` must be in \[1, inf\), got 0"),
        ({"inference": "men"}, "`inference` has no option 'men'"),
    ],
)
@pytest.mark.parametrize("make", [Dropout, DropConnect])
def test_a_wrong_setting_is_named_with_its_range(
    make: type[Dropout] | type[DropConnect], settings: dict[str, float], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        make(**settings)


def test_wrong_choices_are_refused() -> None:
    with pytest.raises(UserError, match="`scaling` has no option 'tset'; did you mean `test`"):
        Dropout(scaling="tset")
    with pytest.raises(UserError, match="`per` has no option 'unit'"):
        DropConnect(per="unit")
    with pytest.raises(UserError, match=r"`input_p` must be in \[0, 1\), got 1"):
        Dropout(input_p=1)
