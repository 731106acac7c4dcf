"""Pictures in TensorBoard: what the network sees, what it has learned, and where it errs.

images/batch              the first minibatch exactly as the network sees it, preprocessed and augmented
images/filters            weights of the first layer, in the shape of the input
images/predictions        the worst validation predictions, with true class, predicted class and its probability
images/confusion_matrix   true classes against predicted classes on the validation split
images/decision_surface   for inputs of two numbers, what is predicted where, with training examples
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nnlab.callbacks import pictures
from nnlab.callbacks.drawing import png
from nnlab.callbacks.schedule import doubling
from nnlab.callbacks.tensorboard import EventFile
from nnlab.callbacks.views import Moment, Views
from nnlab.statistics.calibration import confusion_matrix
from nnlab.training import Trainer
from nnlab.types import Task
from nnlab.validation import check

GRID = 87  # points of a decision surface along each side
DOTS = 400  # examples on a decision surface


class Images(Views):
    """Writes the pictures; see `Views` for when.

    Args:
        examples: how many examples of a batch, and how many predictions. [1, 256]
        most: runs of a population that are shown, the first ones. [1, inf)
    """

    def __init__(self, examples: int = 24, most: int = 4) -> None:
        super().__init__(most)
        self.examples = check("examples", examples, "[1, 256]")

    def _due(self, trainer: Trainer) -> bool:
        """Decision surfaces are for watching how they bend: they are drawn more often."""
        watched = trainer.members[0].dataset.input_shape == (2,)
        return doubling(trainer.validations) if watched else super()._due(trainer)

    def wants(self, step: int) -> bool:
        return step == 0

    def step_start(self, trainer: Trainer) -> None:
        if pictures.is_picture(trainer.members[0].dataset.input_shape):
            for run in trainer.runs[: self.most]:
                with self._drawing(trainer):
                    self._batch(trainer, EventFile(run), trainer.active.index(run.members[0]))

    def _batch(self, trainer: Trainer, file: EventFile, row: int) -> None:
        data = trainer.members[trainer.active[row]].dataset
        inputs, targets = trainer.inputs[row][: self.examples], trainer.targets[row][: self.examples]
        text = "The first minibatch exactly as the network sees it: preprocessed and augmented."
        self._append(file, 0, "batch", pictures.batch(_array(inputs), _names(targets, data.target_names)), text)

    def _show(self, view: Moment) -> None:
        file, data = EventFile(view.run), view.data
        weights = view.trainer.stack.layout.weights(view.theta)
        if weights:
            first = next(iter(weights.values()))[0]
            text = "Weights of the first layer's units, in the shape of the input: blue positive, orange negative."
            self._append(file, view.step, "filters", pictures.filters(_array(first), data.input_shape), text)
        if data.task is not Task.REGRESSION:
            predicted = view.prediction.argmax(-1)
            counts = confusion_matrix(data.validation.targets, predicted, len(data.target_names))
            text = "Validation examples by true class (row) and predicted class (column)."
            picture = pictures.confusion(_array(counts), data.target_names)
            self._append(file, view.step, "confusion_matrix", picture, text)
            if pictures.is_picture(data.input_shape):
                self._predictions(file, view)
        if data.input_shape == (2,):
            self._surface(file, view)

    def _predictions(self, file: EventFile, view: Moment) -> None:
        """The examples whose true class is furthest behind the best other one."""
        data, prediction = view.data, view.prediction
        targets = data.validation.targets
        right = prediction.gather(1, targets.unsqueeze(1)).squeeze(1)
        others = prediction.scatter(1, targets.unsqueeze(1), -torch.inf).amax(1)
        worst = (right - others).topk(min(self.examples, len(targets)), largest=False).indices
        sure, predicted = prediction[worst].max(1)
        true, said = _names(targets[worst], data.target_names), _names(predicted, data.target_names)
        shares = [f"  {100 * p:.0f} %" if view.trainer.loss.probabilistic else "" for p in sure.tolist()]
        labels = [
            (f"is {is_[:12]}", f"as {as_[:12]}{share}") for is_, as_, share in zip(true, said, shares, strict=True)
        ]
        wrong = (predicted != targets[worst]).tolist()
        picture = pictures.predictions(_array(data.validation.inputs[worst]), labels, wrong)
        text = "The worst validation predictions: what each is, and what was predicted (orange: wrong)."
        self._append(file, view.step, "predictions", picture, text)

    def _surface(self, file: EventFile, view: Moment) -> None:
        train = view.data.train
        inputs = train.inputs[:]
        low, high = inputs.amin(0), inputs.amax(0)
        low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)
        axis = torch.linspace(0, 1, GRID, device=low.device, dtype=low.dtype)
        x, y = torch.meshgrid(axis, axis.flip(0), indexing="xy")
        grid = low + torch.stack([x.reshape(-1), y.reshape(-1)], 1) * (high - low)
        values = view.predict(grid)
        labels = None
        if view.data.task is Task.REGRESSION:
            values = values.reshape(len(grid), -1)[:, :1]
        else:
            values = values if view.trainer.loss.probabilistic else values.softmax(1)
            labels = _array(train.targets[:DOTS])
        points = _array((train.inputs[:DOTS] - low) / (high - low).clamp(min=1e-12))
        picture = pictures.surface(_array(values).reshape(GRID, GRID, -1), points, labels)
        text = "What is predicted for every input, with training examples."
        self._append(file, view.step, "decision_surface", picture, text)

    @staticmethod
    def _append(file: EventFile, step: int, name: str, picture: np.ndarray, text: str) -> None:
        height, width, _ = picture.shape
        file.image(step, f"images/{name}", png(picture), (width, height), text)


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().cpu().numpy()
    return array.astype(float) if array.dtype.kind == "f" else array


def _names(targets: Tensor, names: tuple[str, ...]) -> list[str]:
    """Names of classes, or regression targets as numbers."""
    if targets.is_floating_point():
        return [f"{value:.2f}" for value in targets.flatten(1)[:, 0].tolist()]
    return [names[label] for label in targets.tolist()]
