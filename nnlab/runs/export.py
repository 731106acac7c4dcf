"""A run as a file for other programs (ONNX, PyTorch's pt2, weights), loaded again by its own runtime and compared.

The graph takes raw numbers and holds the preprocessing; the number of examples is free. See `nnlab.runs.deployed` for
what the inputs are.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnlab.config.build import build_source, data_root, data_seed
from nnlab.console import silenced
from nnlab.errors import UserError
from nnlab.randomness import generator
from nnlab.runs.deployed import Deployed, deployed, graph_columns, graph_inputs
from nnlab.runs.model_card import model_card
from nnlab.runs.networks import Networks
from nnlab.runs.prediction import Predictor
from nnlab.storage.files import make_folder, write_whole
from nnlab.units import numbers_transformed
from nnlab.validation import check_choice

FORMATS = {"onnx": "model.onnx", "pt2": "model.pt2", "safetensors": "model.safetensors", "state_dict": "model.pt"}
CARD = "README.md"
TOLERANCE = 1e-5  # largest difference that an exported graph may have
ROWS = 256  # examples that the comparison takes
NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "safetensors": ("safetensors",)}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from what the run itself predicts.

    Attributes:
        path: the file.
        card: the model card beside it.
        difference: largest difference of a prediction; for numbers in standard deviations of the target, or of its
            logarithm where that was learned.
        rows: how many examples were compared.
        real: whether they were examples of the run's data; otherwise drawn, because the data are not here.
    """

    path: Path
    card: Path
    difference: float
    rows: int
    real: bool

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= TOLERANCE


def export(networks: Networks, kind: str = "onnx", folder: str | Path | None = None) -> Exported:
    """Write a run in another format, with a model card, and compare what its own runtime makes of the file.

    Args:
        networks: of the run.
        kind: `onnx`, `pt2`, `safetensors` (weights, arrays only) or `state_dict` (weights, for `torch.load`).
        folder: where to; None: the folder `export` in the run's.

    Raises:
        UserError: there is no such format, its package is missing, or the network cannot be written in it.
    """
    check_choice("format", kind, tuple(FORMATS))
    for package in NEEDED.get(kind, ()):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UserError(f"`format={kind}` needs the package `{package}`: pip install 'nnlab[export]'") from error
    module = deployed(networks)
    inputs, raw = example_inputs(networks)
    place = Path(folder) if folder is not None else networks.directory / "export"
    make_folder(place)
    path = place / FORMATS[kind]
    write: Callable[[Deployed, Tensor], bytes] = {
        "onnx": _onnx,
        "pt2": _pt2,
        "safetensors": _safetensors,
        "state_dict": _state_dict,
    }[kind]
    write_whole(path, write(module, inputs[:3]))
    expected = _of_the_run(networks, module, inputs, raw)
    difference = _difference(expected, _again(kind, path, networks, inputs), module)
    exported = Exported(path, place / CARD, difference, len(inputs), raw is not None)
    write_whole(
        exported.card, model_card(networks, kind, exported.path.name, difference, graph_columns(module.pipeline))
    )
    return exported


def _of_the_run(networks: Networks, module: Deployed, inputs: Tensor, raw: Any) -> npt.NDArray[Any]:
    """What the run itself predicts: for raw examples by its own pipeline, for drawn numbers by that of the module."""
    run = Predictor(networks)
    if raw is not None:
        found = run.of_raw(raw)
        parts = [found.values, found.std]
    else:
        with torch.no_grad():
            parts = [*run.in_units(run.combined(module.transform(module.encode(inputs)).float()))]
    return np.concatenate([part for part in parts if part is not None], 1)


def example_inputs(networks: Networks) -> tuple[Tensor, Any]:
    """Examples as the graph takes them, and the same as the data have them; None where they are drawn."""
    config, pipeline = networks.config, networks.fitted.pipeline
    try:
        with silenced():
            raw = build_source(config).read(data_seed(config), data_root(config))
        rows = raw.inputs[np.arange(min(ROWS, len(raw.inputs)))]
        return graph_inputs(pipeline, rows), rows
    except UserError as error:
        log.warning("the data of the run are not here (%s): the comparison takes drawn numbers", error)
    columns = len(graph_columns(pipeline))
    shape = (columns,) if columns else getattr(pipeline.rule, "shape", networks.fitted.input_shape)
    drawn = torch.randn(ROWS, *shape, generator=generator(0, "export"), dtype=torch.float64)
    return (drawn if columns else drawn.float()), None


def _onnx(module: Deployed, inputs: Tensor) -> bytes:
    with _quiet():
        try:
            program = torch.onnx.export(
                module,
                (inputs,),
                dynamo=True,
                verbose=False,
                dynamic_shapes=({0: torch.export.Dim("n")},),
                input_names=["inputs"],
                output_names=["predictions"],
            )
        except Exception as error:  # the converter's own errors are many pages long
            raise UserError(
                f"this network has an operation that ONNX lacks ({_short(error)}); use format=pt2"
            ) from error
    assert program is not None
    return bytes(program.model_proto.SerializeToString())


def _pt2(module: Deployed, inputs: Tensor) -> bytes:
    with _quiet():
        try:
            program = torch.export.export(module, (inputs,), dynamic_shapes=({0: torch.export.Dim("n")},))
        except Exception as error:
            raise UserError(f"this network cannot be written as a graph ({_short(error)})") from error
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
    return buffer.getvalue()


def _safetensors(module: Deployed, _inputs: Tensor) -> bytes:
    from safetensors.torch import save

    return save({name: value.contiguous().clone() for name, value in module.state_dict().items()})


def _state_dict(module: Deployed, _inputs: Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.save({name: value.clone() for name, value in module.state_dict().items()}, buffer)
    return buffer.getvalue()


def _again(kind: str, path: Path, networks: Networks, inputs: Tensor) -> npt.NDArray[Any]:
    """What the file itself gives, loaded by the runtime that it is for."""
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0])
    if kind == "pt2":
        with _quiet():
            module: nn.Module = torch.export.load(str(path)).module()
    else:
        module = deployed(networks)
        for parameter in module.parameters():
            parameter.data.fill_(float("nan"))  # so that everything must come from the file
        if kind == "safetensors":
            from safetensors.torch import load_file

            state = load_file(str(path))
        else:
            state = torch.load(path, weights_only=True)
        module.load_state_dict(state)
    with torch.no_grad():
        return np.asarray(module(inputs).numpy())


def _difference(expected: npt.NDArray[Any], found: npt.NDArray[Any], module: Deployed) -> float:
    """Largest difference of two predictions; numbers in standard deviations of their target, or its logarithm."""
    if found.shape != expected.shape:
        return float("inf")
    expected, found = (numbers_transformed(each, module.target_transform) for each in (expected, found))
    scale = np.resize(module.target_std.numpy(), expected.shape[1]) if module.regression else 1.0
    return float(np.max(np.abs(found - expected) / scale, initial=0.0))


def _short(error: Exception) -> str:
    """The first words of an error that says something."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:160]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks about their own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
