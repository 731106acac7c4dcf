"""What the trainer costs: one MNIST epoch of an MLP 784-256-256-10, batch 128, Adam, against a bare PyTorch loop.

nnlab runs with its default callbacks (TensorBoard, statistics, pictures, diagnosis, checkpoint, ...), closing and
flushing of logs counted; the bare loop works on resident tensors with torch's fused Adam, validates once an epoch and
evaluates all three splits at the end, as nnlab does (the peers do not).
With `--peers`, Lightning, skorch and the tutorials' loops over a DataLoader join, of tensors and of torchvision's
images, each with its own defaults (they are installed separately: `pip install lightning skorch`). Contestants take
turns in one process; medians and ratios are printed.

    NNLAB_DATA=... OMP_NUM_THREADS=2 python benchmarks/trainer_overhead.py --rounds 5 --peers

Measured on 2 virtual cores of an AMD EPYC, torch 2.14.1, one epoch, median of the rounds' ratios to the bare loop
(claim: at most 1.10). nnlab, one thread, 3 rounds, beside a dozen other programs: 0.58 (4.3 s against 7.5). The others,
5 rounds on a quieter machine, Lightning 2.6, skorch 1.4:

    threads  Lightning  skorch  DataLoader of tensors  of images
    1        1.54       0.92    1.03                   2.55
    2        1.93       1.27    1.36                   3.62

nnlab may be below one because its backward pass of a multilayer perceptron needs no autograd.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nnlab.cli import compose
from nnlab.config.build import build_trainer, data_root, load_dataset
from nnlab.training import Run
from nnlab.types import Dataset, Split

OVERRIDES = ("data=mnist", "architecture.widths=[256,256]", "trainer.batch_size=128", "scheduler=constant")
BATCH = 128


def network() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )


def bare(dataset: Dataset, epochs: int) -> None:
    """What one would write by hand: validation after each epoch, and all three splits at the end."""

    def evaluate(split: Split) -> None:
        model.eval()
        with torch.no_grad():
            outputs = torch.cat([model(x) for x in split.inputs.split(4096)])
            F.cross_entropy(outputs, split.targets).item()
            (outputs.argmax(1) == split.targets).float().mean().item()

    inputs, targets = dataset.train.inputs, dataset.train.targets
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), BATCH):
            index = order[start : start + BATCH]
            loss = F.cross_entropy(model(inputs[index]), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(dataset.validation)
    for split in (dataset.train, dataset.validation, dataset.test):
        evaluate(split)


def with_nnlab(epochs: int, folder: str) -> float:
    """Seconds of the fit, of the final evaluation, and of flushing and closing all logs and checkpoints."""
    config = compose(*OVERRIDES, f"trainer.epochs={epochs}")
    run = Run(Path(tempfile.mkdtemp(dir=folder)), [0], config)
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = build_trainer([config], [run])
        run.create({})

        def fit() -> None:
            trainer.fit()
            trainer.final_evaluations()
            run.close()

        return timed(fit)


def with_loader(dataset: torch.utils.data.Dataset[tuple[Tensor, Tensor]], epochs: int) -> None:
    """The loop of PyTorch's tutorials: a DataLoader, and Adam as it comes."""
    model, optimizer = (made := network()), torch.optim.Adam(made.parameters(), lr=1e-3)
    for _ in range(epochs):
        for x, y in torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def images(root: Path, count: int) -> torch.utils.data.Dataset[tuple[Tensor, Tensor]]:
    """The first examples of torchvision's MNIST as the tutorials read it: one image after another, by `ToTensor`."""
    from torchvision import datasets, transforms

    every = datasets.MNIST(str(root), train=True, transform=transforms.ToTensor())
    return torch.utils.data.Subset(every, range(count))


def with_lightning(inputs: Tensor, targets: Tensor, held_out: tuple[Tensor, Tensor], epochs: int) -> None:
    import lightning
    from torch.utils.data import DataLoader, TensorDataset

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            loss = F.cross_entropy(self.model(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
            self.log("validation", F.cross_entropy(self.model(batch[0]), batch[1]))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(max_epochs=epochs, default_root_dir=folder, accelerator="cpu")
        loaders = [DataLoader(TensorDataset(*pair), batch_size=BATCH) for pair in ((inputs, targets), held_out)]
        trainer.fit(Module(), *loaders)


def with_skorch(inputs: Tensor, targets: Tensor, epochs: int) -> None:
    from skorch import NeuralNetClassifier

    model = NeuralNetClassifier(network, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=1e-3,
                                batch_size=BATCH, max_epochs=epochs, verbose=0)  # fmt: skip
    model.fit(inputs.numpy(), targets.numpy())


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    dataset = load_dataset(compose(*OVERRIDES))  # kept alive: every run of this process shares it
    inputs, targets = dataset.train.inputs, dataset.train.targets
    held_out = dataset.validation.inputs, dataset.validation.targets
    epochs = options.epochs
    if options.peers:
        tensors = torch.utils.data.TensorDataset(inputs, targets)
        pictures = images(data_root(compose(*OVERRIDES)), len(inputs))
    with tempfile.TemporaryDirectory() as folder:
        contestants: dict[str, Callable[[], float]] = {
            "bare loop, fused Adam": lambda: timed(lambda: bare(dataset, epochs)),
            "nnlab, default callbacks": lambda: with_nnlab(epochs, folder),
        }
        if options.peers:
            contestants |= {
                "Lightning": lambda: timed(lambda: with_lightning(inputs, targets, held_out, epochs)),
                "skorch": lambda: timed(lambda: with_skorch(inputs, targets, epochs)),
                "DataLoader of tensors": lambda: timed(lambda: with_loader(tensors, epochs)),
                "DataLoader of images": lambda: timed(lambda: with_loader(pictures, epochs)),
            }
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(options.rounds + 1):
            for name, run in contestants.items():
                seconds[name].append(run())
    reference = seconds["bare loop, fused Adam"][1:]
    print(f"{torch.get_num_threads()} threads, {epochs} epochs, {options.rounds} rounds after one warm-up")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values[1:], reference, strict=True))
        print(f"{name:28} median {statistics.median(values[1:]):7.3f} s   ratio {ratio:5.2f}")


if __name__ == "__main__":
    main()
