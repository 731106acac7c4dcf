"""Step 1, the data: scale, constant features, values that are not numbers, class balance, examples in two splits.

Inputs are measured as the network sees them, after preprocessing. The root mean square of a standardized input is 1;
first-layer weights of standard deviation 1/sqrt(D) then give sums of variance 1 (LeCun et al. 1998, "Efficient
BackProp", section 4.3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nnlab.recipe.findings import Finding, shown
from nnlab.types import Dataset, Split, Task

LARGE, SMALL = 5.0, 0.01  # root mean square of the inputs beyond which they count as not standardized
UNEVEN = 100.0  # ratio of the largest feature's standard deviation to the median one
SHARED = 0.01  # fraction of held-out examples that may also be training examples
FEW = 16  # distinct training inputs, up to which every split must hold the same ones (XOR)
NEAR = 1e-3  # of the usual distance between neighbours: the same example
IMBALANCE = 10.0
PROBE, REFERENCE = 512, 20000  # examples compared with each other

STANDARDIZE = "data/preprocessing=standardize"


def check_inputs(dataset: Dataset) -> list[Finding]:
    """Findings about the data, faults first."""
    train = dataset.train.inputs.flatten(1).float()
    if not bool(torch.isfinite(train).all()):
        bad = int((~torch.isfinite(train)).sum())
        return [
            Finding(
                "inputs_not_finite",
                f"{bad} of the training inputs are NaN or infinite",
                "Every weight that meets them becomes NaN. Remove or replace these values.",
            )
        ]
    findings = [*_constant(train), *_scale(train), *_leakage(dataset), *_targets(dataset)]
    return sorted(findings, key=lambda finding: not finding.fault)


def input_numbers(dataset: Dataset) -> dict[str, float]:
    """Mean, root mean square, and number of constant features of the training inputs."""
    train = dataset.train.inputs.flatten(1).float()
    constant = (train.amax(0) == train.amin(0)).sum()
    return {
        "mean": float(train.mean()),
        "rms": rms(train),
        "constant_features": int(constant),
        "features": train.shape[1],
        "examples": len(train),
    }


def rms(values: Tensor) -> float:
    """Root mean square."""
    return float(values.float().square().mean().sqrt())


def _constant(train: Tensor) -> list[Finding]:
    constant = train.amax(0) == train.amin(0)
    count = int(constant.sum())
    if count == train.shape[1]:
        value = "zero" if bool((train == 0).all()) else "the same for all examples"
        return [
            Finding(
                "inputs_constant",
                f"all {count} input features are {value}",
                "The network cannot tell one example from another. Something before it (reading, selecting, "
                "scaling) has wiped the inputs out.",
                STANDARDIZE,
            )
        ]
    if count:
        return [
            Finding(
                "constant_features",
                f"{count} of {train.shape[1]} input features never change",
                "They carry no information; that is harmless, and usual at the edges of images.",
                fault=False,
            )
        ]
    return []


def _scale(train: Tensor) -> list[Finding]:
    scale, spread = rms(train), train.std(0, correction=0)
    varying = spread[spread > 0]
    if not len(varying):
        return []
    uneven = float(varying.max() / varying.median())
    evidence = (
        f"inputs have mean {shown(float(train.mean()))} and root mean square {shown(scale)} (standardized: 0 "
        f"and 1), from {shown(float(train.min()))} to {shown(float(train.max()))}"
    )
    if scale > LARGE or (uneven > UNEVEN and scale > 1):
        return [
            Finding(
                "inputs_not_standardized",
                evidence,
                f"Sums in the first layer are about {shown(scale)} times what the initialization expects: the "
                "loss reacts violently to small changes of the weights, and plain gradient descent needs a "
                "tiny rate.",
                STANDARDIZE,
            )
        ]
    if scale < SMALL:
        return [
            Finding(
                "inputs_not_standardized",
                evidence,
                "The first layer hardly feels the inputs and learns slowly.",
                STANDARDIZE,
            )
        ]
    return []


def _leakage(dataset: Dataset) -> list[Finding]:
    train = dataset.train
    if len(torch.unique(train.inputs.flatten(1)[:1000], dim=0)) <= FEW:
        return []
    findings = []
    for name, split in (("validation", dataset.validation), ("test", dataset.test)):
        found, of = shared_examples(train, split)
        if found <= max(1, SHARED * of):
            continue
        findings.append(
            Finding(
                "leakage_between_splits",
                f"{found} of {of} {name} examples are training examples, too",
                f"What the {name} split says about new examples is too good to be true: the network has seen them. "
                "Remove duplicates before splitting, and keep what belongs together (one patient) in one split.",
            )
        )
    return findings


def shared_examples(train: Split, split: Split) -> tuple[int, int]:
    """How many examples of `split` have (almost) exactly the inputs of a training example, and of how many looked at.

    "Almost" is a distance below `NEAR` of that which neighbours usually have.
    """
    reference, probe = train.inputs.flatten(1)[:REFERENCE].float(), split.inputs.flatten(1)[:PROBE].float()
    nearest = _nearest(probe, reference)
    usual = float(_nearest(reference[:PROBE], reference, same=True).median())
    return int((nearest <= NEAR * usual).sum()), len(probe)


def _nearest(probe: Tensor, reference: Tensor, same: bool = False) -> Tensor:
    """Distance of each probe (n, D) to its nearest reference (N, D); to another one where probes lead the references.

    Matrix products find the neighbour 50 times faster, but are not exact near zero; so its distance is taken again.
    """
    distance = torch.cdist(probe, reference, compute_mode="use_mm_for_euclid_dist")
    if same:
        distance[:, : len(probe)].fill_diagonal_(float("inf"))
    return (probe - reference[distance.argmin(1)]).square().sum(1).sqrt()


def _targets(dataset: Dataset) -> list[Finding]:
    targets = dataset.train.targets
    if dataset.task is Task.REGRESSION:
        scale = rms(targets)
        if LARGE >= scale >= SMALL:
            return []
        return [
            Finding(
                "targets_not_standardized",
                f"the targets' root mean square is {shown(scale)}",
                "Errors, and so gradients, scale with the targets: the usual learning rates do not fit.",
                "data.standardize_targets=true",
            )
        ]
    counts = torch.bincount(targets, minlength=dataset.target_size)
    if int(counts.min()) == 0:
        missing = dataset.target_names[int(counts.argmin())]
        return [
            Finding(
                "class_missing",
                f"class `{missing}` has no training example",
                "The network can only learn to never answer it. Check how labels are read.",
            )
        ]
    ratio = float(counts.max() / counts.min())
    if ratio > IMBALANCE:
        share = float(counts.max() / counts.sum())
        return [
            Finding(
                "classes_imbalanced",
                f"the largest class is {shown(ratio)} times as frequent as the smallest",
                f"Always answering it is right in {share:.0%} of the cases: accuracy must be read against that.",
                fault=False,
            )
        ]
    return []
