"""The last hidden layer's outputs on validation examples, for TensorBoard's tab PROJECTOR.

Files in the run directory: `projector_config.pbtxt`, and in `projector/` the vectors, the classes, and, where inputs
are images, the images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from nnlab.callbacks import drawing, pictures
from nnlab.callbacks.views import Moment, Views
from nnlab.storage.files import make_folder, write_whole
from nnlab.streaming import at_once
from nnlab.training import Trainer
from nnlab.validation import check

CONFIG = "projector_config.pbtxt"
NUMBERS = 1 << 20  # inputs that go through the network at a time
SIDE = 64  # pixels


class Projector(Views):
    """Writes the files when training ends, at the best weights; for an ensemble those of its first member.

    Args:
        examples: how many. [2, 10000]
        most: runs of a population that are shown, the first ones. [1, inf)
    """

    def __init__(self, examples: int = 300, most: int = 4) -> None:
        super().__init__(most)
        self.examples = check("examples", examples, "[2, 10000]")

    def _due(self, trainer: Trainer) -> bool:
        return False  # nothing during training

    def _show(self, view: Moment) -> None:
        validation = view.data.validation
        targets = validation.targets[: self.examples]
        count = at_once(validation.inputs, NUMBERS, self.examples)
        starts = range(0, len(targets), count)
        parts = (validation.inputs[start : min(start + count, len(targets))] for start in starts)
        drawn = pictures.is_picture(view.data.input_shape)
        with view.networks() as networks:
            seen = [(last_hidden(networks[0], part), _sprites(part) if drawn else part[:0]) for part in parts]
        vectors = [part for part, _ in seen if part is not None]
        if not vectors or len(targets) < 2:
            return
        folder = view.run.directory / "projector"
        make_folder(folder)
        array = np.ascontiguousarray(torch.cat(vectors).cpu().numpy(), dtype="<f4")
        name, content = tensor_file(array)
        write_whole(folder / name, content)
        write_whole(folder / "classes.tsv", classes(targets, view.prediction[: self.examples], view.data.target_names))
        sprite = ""
        if drawn:
            images = torch.cat([sprites for _, sprites in seen]).cpu().numpy()
            write_whole(folder / "images.png", drawing.png(pictures.contact_sheet(images)))
            height, width = images.shape[2:]
            sprite = (
                f'  sprite {{ image_path: "projector/images.png" single_image_dim: {width} '
                f"single_image_dim: {height} }}\n"
            )
        rows, columns = array.shape
        text = (
            f'embeddings {{\n  tensor_name: "last hidden layer"\n  tensor_path: "projector/{name}"\n'
            f"  tensor_shape: {rows}\n  tensor_shape: {columns}\n"
            f'  metadata_path: "projector/classes.tsv"\n{sprite}}}\n'
        )
        write_whole(view.run.directory / CONFIG, text)


def _sprites(images: Tensor) -> Tensor:
    """Images (N, K, H, W) as they lie in the tab: of at most `SIDE` pixels along each side."""
    height, width = images.shape[2:]
    return images if max(height, width) <= SIDE else adaptive_avg_pool2d(images, (min(SIDE, height), min(SIDE, width)))


def last_hidden(network: nn.Module, inputs: Tensor) -> Tensor | None:
    """What the last linear layer receives, (N, units); None where there is none."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear:
        return None
    seen: list[Tensor] = []
    handle = linear[-1].register_forward_pre_hook(lambda _module, arguments: seen.append(arguments[0]))
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        handle.remove()
    return seen[0].flatten(1).float()


def tensor_file(array: np.ndarray) -> tuple[str, bytes]:
    """Name and content: bytes, which TensorBoard recognises by their not being text; otherwise tables."""
    content = array.tobytes()
    try:
        content.decode()
    except UnicodeDecodeError:
        return "vectors.bytes", content
    return "vectors.tsv", "".join("\t".join(f"{value:.6g}" for value in row) + "\n" for row in array).encode()


def classes(targets: Tensor, prediction: Tensor, names: Sequence[str]) -> str:
    """A table of what each example is and what was predicted."""
    if targets.is_floating_point():
        columns = targets.flatten(1)[:, 0].tolist(), prediction.flatten(1)[:, 0].tolist()
        rows = [(f"{true:.4g}", f"{said:.4g}") for true, said in zip(*columns, strict=True)]
        return "".join("\t".join(row) + "\n" for row in [("target", "predicted"), *rows])
    plain = [" ".join(name.split()) for name in names]
    if all(name.isdecimal() for name in plain):  # the projector labels and colours by words, and passes over numbers
        plain = [f"class {name}" for name in plain]
    labels = zip(targets.tolist(), prediction.argmax(-1).tolist(), strict=True)
    table = [(plain[t], plain[p], "right" if t == p else "wrong") for t, p in labels]
    return "".join("\t".join(row) + "\n" for row in [("class", "predicted", "right or wrong"), *table])
