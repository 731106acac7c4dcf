"""What is drawn of a playground, as plain values that JSON holds: data, surfaces, networks, statistics.

Maps over the plane are bytes, base64: 0 ... 255 from left to right and from top to bottom.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nnlab.activation.base import Activation
from nnlab.play.playground import Playground
from nnlab.types import Dataset, Task

SURFACE, SMALL, UNIT = 60, 40, 20  # pixels of a side: of the surface, of one beside others, of a unit's map
POINTS = 600  # examples that are drawn
SHOWN = 12  # units of a layer that are drawn
BINS = 24  # of a histogram
EXAMINED = 256  # examples whose activations and gradients are drawn
EXAMPLES = 24  # images shown with their predictions
PLANE, PLANE_EXAMPLES, MOST_NAMED = 31, 256, 300  # the loss surface of two parameters


def scene(playground: Playground) -> dict[str, Any]:
    """What stays as it is while training goes on: the data, and the names of what is compared."""
    dataset = playground.dataset
    compared = None if playground.versus is None else {"key": playground.versus[0], "values": playground.versus[1]}
    found: dict[str, Any] = {
        "kind": kind(dataset),
        "task": str(dataset.task),
        "classes": list(dataset.target_names),
        "inputs": dataset.input_size,
        "examples": {name: len(getattr(dataset, name)) for name in ("train", "validation", "test")},
        "compared": compared,
        "total": playground.trainer.total_steps,
        "epoch": playground.trainer.steps_per_epoch,
        "parameters": parameters(playground),
    }
    if found["kind"] in ("plane", "line"):
        found["bounds"] = bounds(dataset)
        found["points"] = {name: _points(getattr(dataset, name)) for name in ("train", "validation")}
    elif found["kind"] == "images":
        images = dataset.validation.inputs[:EXAMPLES]
        found["images"] = [_image(image) for image in images]
        found["labels"] = dataset.validation.targets[:EXAMPLES].tolist()
        found["shape"] = list(dataset.input_shape[-2:])
        found["gray"] = dataset.input_shape[0] == 1 and dataset.pipeline is not None
    return found


def kind(dataset: Dataset) -> str:
    """How data are drawn: `plane` for two inputs, `line` for one, `images`, or `table`."""
    if len(dataset.input_shape) == 3:
        return "images"
    return {1: "line", 2: "plane"}.get(dataset.input_size, "table")


def bounds(dataset: Dataset) -> list[float]:
    """Left, right, bottom and top of the examples, with a margin; of one input: left, right."""
    inputs = torch.cat([dataset.train.inputs, dataset.validation.inputs]).flatten(1)
    low, high = inputs.amin(0), inputs.amax(0)
    margin = 0.15 * (high - low).clamp(min=1e-6)
    return [float(v) for pair in zip(low - margin, high + margin, strict=True) for v in pair]


def _points(split: Any) -> list[list[float]]:
    inputs, targets = split.inputs[:POINTS].flatten(1), split.targets[:POINTS]
    values = targets.unsqueeze(1) if targets.dim() == 1 else targets[:, :1]
    return [[round(float(v), 4) for v in row] for row in torch.cat([inputs, values.to(inputs.dtype)], 1)]


def _image(image: Tensor) -> str:
    flat = image.mean(0) if image.dim() == 3 else image
    low, high = float(flat.min()), float(flat.max())
    return as_bytes((flat - low) / max(high - low, 1e-6))


def as_bytes(values: Tensor) -> str:
    """Numbers in [0, 1] as bytes 0 ... 255, base64."""
    scaled = values.detach().float().nan_to_num(0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
    return base64.b64encode(scaled.cpu().numpy().tobytes()).decode()


@torch.no_grad()
def frame(playground: Playground) -> dict[str, Any]:
    """What moves while training goes on."""
    positions, networks = [], []
    for position, network in playground.networks():
        positions.append(position)
        networks.append(network)
    dataset, loss = playground.dataset, playground.trainer.loss
    shown = {
        "step": playground.step,
        "epoch": round(playground.trainer.epoch, 2),
        "rates": _rates(playground),
        "active": positions,
        "command": playground.command(),
        "kept": playground.kept,
        "finished": playground.finished,
        "validation": _validation(playground),
    }
    if not networks:
        return shown
    if kind(dataset) == "plane":
        side = SURFACE if len(networks) == 1 else SMALL
        grid = _grid(dataset, side)
        shown["surfaces"] = [_surface(loss.prediction(network(grid)), dataset) for network in networks]
        shown["side"] = side
    elif kind(dataset) == "line":
        left, right = bounds(dataset)
        x = torch.linspace(left, right, 121).unsqueeze(1).to(dataset.train.inputs)
        shown["curves"] = [_numbers(loss.prediction(network(x)).flatten(1)[:, 0]) for network in networks]
    elif kind(dataset) == "images":
        predictions = loss.prediction(networks[0](dataset.validation.inputs[:EXAMPLES]))
        shown["predictions"] = [_numbers(row) for row in predictions] if dataset.task is not Task.REGRESSION else []
    if playground.size == 1:
        shown["network"] = _network(networks[0], dataset)
        shown["statistics"] = _statistics(playground, networks[0])
    return shown


def _numbers(values: Tensor) -> list[float | None]:
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in values.detach().float().tolist()]


def _rates(playground: Playground) -> list[float | None]:
    """The learning rate of the next step, one for each network in training."""
    rates: list[float | None] = []
    for trainer in playground.trainers:
        if trainer.active:
            rate = trainer.engine.rates.at(trainer.step)
            rates += _numbers(rate.flatten() if isinstance(rate, Tensor) else torch.full((len(trainer.active),), rate))
    return rates


def _validation(playground: Playground) -> dict[str, list[float | None]]:
    """Metrics on the validation split of every network; None for those that have ended."""
    metrics: dict[str, list[float | None]] = {}
    first = 0
    for trainer in playground.trainers:
        for name, values in trainer.evaluate("validation").metrics.items() if trainer.active else ():
            row = metrics.setdefault(name, [None] * playground.size)
            for member, value in zip(trainer.active, _numbers(values), strict=True):
                row[first + member] = value
        first += len(trainer.members)
    return metrics


def _grid(dataset: Dataset, side: int) -> Tensor:
    """The centers of side x side pixels over the data's bounds, (side^2, 2), from the top left."""
    left, right, bottom, top = bounds(dataset)
    across = left + (right - left) * (torch.arange(side) + 0.5) / side
    down = top - (top - bottom) * (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(down, across, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1).to(dataset.train.inputs)


def _surface(prediction: Tensor, dataset: Dataset) -> dict[str, str]:
    """Of two classes the second one's share; of more the class and how sure it is; of a target its value."""
    if dataset.task is Task.REGRESSION:
        return {"value": as_bytes(_spread(prediction.flatten(1)[:, 0], dataset.train.targets[:, 0]))}
    if prediction.shape[-1] == 2:
        probability = prediction[:, 1] if _sums_to_one(prediction) else torch.sigmoid(prediction[:, 1])
        return {"value": as_bytes(probability)}
    share = prediction if _sums_to_one(prediction) else prediction.softmax(-1)
    sure, best = share.max(-1)
    return {"class": as_bytes(best / 255), "value": as_bytes(sure)}


def _sums_to_one(prediction: Tensor) -> bool:
    return bool(((prediction >= 0).all(-1) & ((prediction.sum(-1) - 1).abs() < 1e-3)).all())


def _spread(values: Tensor, reference: Tensor) -> Tensor:
    low, high = float(reference.min()), float(reference.max())
    return (values - low) / max(high - low, 1e-6)


def _network(network: nn.Module, dataset: Dataset) -> dict[str, Any]:
    """Layers of units with what each responds to, and the weights between them; chains alone."""
    if not isinstance(network, nn.Sequential):
        return {"layers": [], "edges": []}
    plane = kind(dataset) == "plane"
    x = _grid(dataset, UNIT) if plane else dataset.validation.inputs[:64]
    layers = [{"size": dataset.input_size, "shown": min(dataset.input_size, SHOWN), "name": "inputs"}]
    if plane:
        layers[0]["maps"] = [_map(column) for column in x.T]
    edges: list[dict[str, Any]] = []
    modules = list(network.named_children())
    for position, (name, module) in enumerate(modules):
        x = module(x)
        if isinstance(module, nn.Linear):
            before, after = layers[-1]["shown"], min(module.out_features, SHOWN)
            weight = module.weight if layers[-1]["size"] == module.in_features else module.weight[:, :before]
            edges.append({"name": name, "weights": [_numbers(row[:before]) for row in weight[:after]]})
            layers.append({"size": module.out_features, "shown": after, "name": name})
            if len(dataset.input_shape) == 3 and len(layers) == 2:
                layers[-1]["images"] = [_image(row.reshape(dataset.input_shape)) for row in weight[:after]]
        following = modules[position + 1][1] if position + 1 < len(modules) else None
        if plane and len(layers) > 1 and not isinstance(following, Activation):
            layers[-1]["maps"] = [_map(column) for column in x.flatten(1).T[: layers[-1]["shown"]]]
    return {"layers": layers, "edges": edges}


def _map(values: Tensor) -> str:
    """A unit's response over the plane: 0 in the middle, its largest size at the ends."""
    largest = float(values.abs().max())
    return as_bytes(0.5 + 0.5 * values / max(largest, 1e-6))


def _statistics(playground: Playground, network: nn.Module) -> list[dict[str, Any]]:
    """Histograms of each activation's outputs and of each layer's gradient."""
    found, x = [], playground.dataset.validation.inputs[:EXAMINED]
    for name, module in network.named_children() if isinstance(network, nn.Sequential) else ():
        x = module(x)
        if isinstance(module, Activation):
            found.append({"name": name, "what": "activation", **_histogram(x)})
    if playground.step > 0:
        for name, gradient in _gradients(playground, network).items():
            found.append({"name": name, "what": "gradient", **_histogram(gradient)})
    return found


def _gradients(playground: Playground, network: nn.Module) -> dict[str, Tensor]:
    """The gradient of every weight matrix, by name, on the first training examples."""
    split, loss = playground.dataset.train, playground.trainer.loss
    weights = {name: parameter for name, parameter in network.named_parameters() if name.endswith("weight")}
    with torch.enable_grad():
        values = loss.losses(network(split.inputs[:EXAMINED]), split.targets[:EXAMINED]).mean()
        found = torch.autograd.grad(values, list(weights.values()), allow_unused=True)
    return {name: each for name, each in zip(weights, found, strict=True) if each is not None}


def _histogram(values: Tensor) -> dict[str, Any]:
    """Counts, range and standard deviation of the finite values; no range and deviation where there are none."""
    numbers = values.detach().flatten().cpu().double().numpy()  # 24 bins between neighbours of single precision, too
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return {"low": None, "high": None, "counts": [0] * BINS, "std": None}
    low, high = float(numbers.min()), float(numbers.max())
    bins = (low, high) if low < high else (low - 0.5, high + 0.5)
    counts, _ = np.histogram(numbers, BINS, bins)
    spread = float(numbers.std()) if low < high else 0.0
    return {"low": float(f"{low:.4g}"), "high": float(f"{high:.4g}"), "counts": counts.tolist(), "std": spread}


@torch.no_grad()
def loss_plane(playground: Playground, pair: list[int]) -> dict[str, Any]:
    """The training loss over two parameters, the others as the first network has them, and where the networks are.

    Args:
        playground: networks of one shape.
        pair: positions of the two parameters among all, as `parameters` of the scene numbers them.
    """
    trainer = playground.trainer
    places = [t.stack.theta[:, pair].clone() for t in playground.trainers if t.active]
    if not places:
        return {"pair": pair, "places": []}
    here = torch.cat(places)
    center, reach = here.mean(0), torch.clamp(2 * (here - here.mean(0)).abs().amax(0), min=2.0)
    network = trainer.stack.member(0)
    row = trainer.stack.theta[0].clone()
    split = playground.dataset.train
    inputs, targets = split.inputs[:PLANE_EXAMPLES], split.targets[:PLANE_EXAMPLES]
    axes = [torch.linspace(float(c - r), float(c + r), PLANE) for c, r in zip(center, reach, strict=True)]
    rows = row.repeat(PLANE * PLANE, 1)
    down, across = torch.meshgrid(axes[1].flip(0), axes[0], indexing="ij")
    rows[:, pair[0]], rows[:, pair[1]] = across.flatten().to(row), down.flatten().to(row)
    views = trainer.stack.layout.views(rows)

    def outputs(parameters: dict[str, Tensor]) -> Tensor:
        found: Tensor = torch.func.functional_call(network, parameters, (inputs,))
        return found

    losses = trainer.loss.losses(torch.func.vmap(outputs)(views), targets).mean(1)
    low, high = float(losses.min()), float(losses.max())
    shade = (losses - low).clamp(min=0).log1p() / max(math.log1p(high - low), 1e-9)
    return {
        "pair": pair,
        "surface": as_bytes(shade),
        "side": PLANE,
        "bounds": [float(axes[0][0]), float(axes[0][-1]), float(axes[1][0]), float(axes[1][-1])],
        "losses": [low, high],
        "places": [[float(v) for v in place] for place in here],
    }


def parameters(playground: Playground) -> list[str]:
    """A name for every parameter of a network, such as `linear1.weight[0,1]`; the first few hundred."""
    names: list[str] = []
    for name, view in playground.trainer.stack.views.items():
        shape = view.shape[1:]
        names += [f"{name}[{','.join(map(str, place))}]" for place in np.ndindex(*shape)] if shape else [name]
        if len(names) > MOST_NAMED:
            break
    return names[:MOST_NAMED]
