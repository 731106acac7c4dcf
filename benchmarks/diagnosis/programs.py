"""Real faulty programs, rewritten as configurations from what is said about their faults; no code of theirs is used.

The faults are those of the benchmarks of DeepFD (Cao et al. 2022, ICSE), Defects4DL and DEFault (Jahan et al. 2025,
ICSE): questions on Stack Overflow and projects whose networks do not learn. Their data are not ours: each program is
given a task of the same kind (a table of two classes, digits, a regression, points in the plane) and its own fault,
where it had several one that a configuration can express. A program counts as diagnosed if the first finding names one
of its root causes.

python -m benchmarks.diagnosis.programs [ROWS.jsonl]     # continues where it was ended
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.diagnosis.measure import every, names_it, trained
from benchmarks.diagnosis.more_programs import MORE
from benchmarks.diagnosis.program import Program, planted
from nnlab.diagnosis import diagnose
from nnlab.probe.after_training import follow_up, worse_than_it_should

RATE_HIGH, RATE_LOW = ("learning_rate_too_high", "loss_exploded"), ("learning_rate_too_low",)
END = ("output_layer_not_linear", "doubled_output_layer", "component_at_fault")
SCALE, GOALS = ("inputs_not_standardized",), ("targets_not_standardized",)
SHORT = ("still_improving",)
RAW = "data/preprocessing=unscaled"
PLAIN = ("optimizer=sgd", "optimizer.learning_rate=0.01", "scheduler=constant")
MSE = "loss=squared_error"


MOONS = ("data=moons", "trainer.epochs=null", "trainer.steps=800", "data.validation=0.25")
CANCER = ("data=breast_cancer", "trainer.epochs=null", "trainer.steps=400", "data.validation=0.25")
DIGITS = ("data=digits", "trainer.epochs=null", "trainer.steps=500", "data.validation=0.2")
DIABETES = ("data=diabetes", MSE, "trainer.epochs=null", "trainer.steps=400", "data.validation=0.25")
CURVE = ("data=generated", "data.kind=curve", MSE, "trainer.epochs=null", "trainer.steps=600", "data.validation=0.25")
SPIRALS = ("data=spirals", "data.noise=0.02", "trainer.epochs=null", "trainer.steps=1200", "data.validation=0.25")
WINE = ("data=generated", "data.kind=wine", "data.examples=178", "trainer.steps=300", "trainer.epochs=null")
WINE = (*WINE, "data.validation=0.3")
BINARY = "loss=binary_cross_entropy"

PROGRAMS = (
    Program(
        "points: ReLU on the output of a classifier",
        (*MOONS, BINARY, *planted("relu_at_the_end")),
        (*MOONS, BINARY),
        END,
        ("architecture",),
    ),
    Program(
        "table: ReLU on the output of a classifier",
        (*CANCER, BINARY, *planted("relu_at_the_end"), *PLAIN),
        (*CANCER, BINARY),
        END,
        ("architecture",),
    ),
    Program("regression: ReLU on the output", (*CURVE, *planted("relu_at_the_end")), CURVE, END, ("architecture",)),
    Program(
        "regression: tanh on the output, targets as they are",
        (*DIABETES, "data.standardize_targets=false", *planted("tanh_at_the_end")),
        DIABETES,
        (*END, *GOALS),
        ("architecture", "data.standardize_targets"),
    ),
    Program(
        "regression: softmax on the only output",
        (*CURVE, *planted("softmax_at_the_end")),
        CURVE,
        END,
        ("architecture",),
    ),
    Program("digits: softmax twice", (*DIGITS, *planted("softmax_at_the_end"), *PLAIN), DIGITS, END, ("architecture",)),
    Program(
        "digits: ReLU before the softmax of the loss",
        (*DIGITS, *planted("relu_at_the_end"), "optimizer.learning_rate=0.05"),
        DIGITS,
        (*END, *RATE_HIGH),
        ("architecture", "optimizer"),
    ),
    Program(
        "wine: rate of 1 with momentum",
        (*WINE, "optimizer=momentum", "optimizer.learning_rate=30"),
        WINE,
        RATE_HIGH,
        ("optimizer",),
    ),
    Program("points: Adam with a rate of 1", (*MOONS, "optimizer.learning_rate=3"), MOONS, RATE_HIGH, ("optimizer",)),
    Program(
        "digits: plain descent with a rate of 1e-5",
        (*DIGITS, "optimizer=sgd", "optimizer.learning_rate=1e-5"),
        DIGITS,
        RATE_LOW,
        ("optimizer",),
    ),
    Program(
        "spirals: plain descent with the default rate of 0.01",
        (*SPIRALS, *PLAIN),
        SPIRALS,
        (*RATE_LOW, *SHORT),
        ("optimizer", "scheduler", "trainer.epochs"),
    ),
    Program(
        "table: Adam with a rate of 1e-6", (*CANCER, "optimizer.learning_rate=1e-6"), CANCER, RATE_LOW, ("optimizer",)
    ),
    Program("xor: one hidden unit", (*MOONS, "architecture.widths=[1]"), MOONS, ("underfitting",), ("architecture",)),
    Program(
        "circles: no hidden layer",
        ("data=generated", "data.kind=circles", *MOONS[1:], "architecture=perceptron"),
        ("data=generated", "data.kind=circles", *MOONS[1:]),
        ("underfitting",),
        ("architecture",),
    ),
    Program(
        "digits: five layers of sigmoids, plain descent",
        (
            *DIGITS,
            "architecture.widths=[32,32,32,32,32]",
            "activation=sigmoid",
            "initialization=xavier",
            "optimizer=sgd",
            "optimizer.learning_rate=0.1",
        ),
        DIGITS,
        ("vanishing_gradients",),
        ("activation", "optimizer", "architecture"),
    ),
    Program(
        "spirals: linear activations", (*SPIRALS, "activation=identity"), SPIRALS, ("underfitting",), ("activation",)
    ),
    Program(
        "circles: linear activations",
        ("data=generated", "data.kind=circles", *MOONS[1:], "activation=identity"),
        ("data=generated", "data.kind=circles", *MOONS[1:]),
        ("underfitting",),
        ("activation",),
    ),
    Program(
        "images: pixels of 0 to 255",
        (*DIGITS, RAW, "data.preprocessing.factor=80", "data.preprocessing.offset=120", *PLAIN),
        DIGITS,
        SCALE,
        ("data/preprocessing",),
    ),
    Program(
        "table: columns in the thousands",
        (*CANCER, RAW, "data.preprocessing.factor=500", "data.preprocessing.offset=2000", "optimizer=sgd"),
        CANCER,
        SCALE,
        ("data/preprocessing",),
    ),
    Program(
        "house prices: targets in the hundreds",
        (*DIABETES, "data.standardize_targets=false", "optimizer=sgd", "optimizer.learning_rate=0.01"),
        DIABETES,
        (*GOALS, *RATE_HIGH),
        ("data.standardize_targets", "optimizer"),
    ),
    Program(
        "house prices: targets in the hundreds, Adam",
        (*DIABETES, "data.standardize_targets=false", "optimizer.learning_rate=0.001"),
        DIABETES,
        (*GOALS, *SHORT),
        ("data.standardize_targets",),
    ),
    Program(
        "digits: weights that start at zero",
        (*DIGITS, "initialization=constant", "initialization.value=0.0"),
        DIGITS,
        ("symmetric_units",),
        ("initialization",),
    ),
    Program(
        "xor: all weights alike",
        (*MOONS, "initialization=constant", "initialization.value=0.5"),
        MOONS,
        ("symmetric_units",),
        ("initialization",),
    ),
    Program(
        "digits: weights drawn from N(0, 5^2)",
        (*DIGITS, "initialization=gaussian", "initialization.std=5", *PLAIN),
        DIGITS,
        ("hockey_stick_start", "exploding_gradients", "learning_rate_too_high", "loss_exploded"),
        ("initialization",),
    ),
    Program(
        "digits: two epochs",
        (*DIGITS[:1], "trainer.epochs=1", "optimizer=sgd", "optimizer.learning_rate=0.01"),
        DIGITS,
        (*SHORT, *RATE_LOW),
        ("trainer.epochs", "optimizer"),
    ),
    Program(
        "regression: ten steps",
        (*CURVE[:4], "trainer.steps=10", "data.validation=0.25"),
        CURVE,
        (*SHORT, *RATE_LOW),
        ("trainer.epochs",),
    ),
    Program(
        "table: one batch an epoch",
        (
            *CANCER,
            "trainer.batch_size=full",
            "trainer.steps=20",
            "trainer.validate_every=1",
            "optimizer=sgd",
            "optimizer.learning_rate=0.01",
        ),
        CANCER,
        (*SHORT, *RATE_LOW),
        ("trainer", "optimizer"),
    ),
    Program(
        "digits: dropout of 0.9 in every layer",
        (*DIGITS, "regularizer=[weight_decay,dropout]", "regularizer.dropout.p=0.9", "architecture.widths=[64,64,64]"),
        DIGITS,
        ("penalty_too_strong",),
        ("regularizer",),
    ),
    Program(
        "table: weight decay of 10",
        (*CANCER, "regularizer.weight_decay.strength=10", "optimizer=sgd", "optimizer.learning_rate=0.05"),
        CANCER,
        ("penalty_too_strong",),
        ("regularizer",),
    ),
    Program(
        "digits: hinge of another task, noise in evaluation",
        (*DIGITS, *planted("noisy")),
        DIGITS,
        ("noise_in_evaluation", "component_at_fault"),
        ("architecture",),
    ),
    Program(
        "digits: a layer that was never connected",
        (*DIGITS, *planted("detached"), "optimizer=sgd", "optimizer.learning_rate=0.01"),
        DIGITS,
        ("frozen_layers", "component_at_fault"),
        ("architecture",),
    ),
    Program(
        "digits: inputs overwritten before the network",
        (*DIGITS, *planted("inputs_forgotten")),
        DIGITS,
        ("component_at_fault", "cut_off", "class_collapse"),
        ("architecture",),
    ),
    Program(
        "points: examples of a batch mixed by a reshape",
        (*MOONS, *planted("mixing")),
        MOONS,
        ("examples_mixed", "component_at_fault"),
        ("architecture",),
    ),
    Program(
        "digits: the loss maximized",
        (*DIGITS, "loss=softmax_cross_entropy", "loss._target_=benchmarks.diagnosis.planted.UpsideDown"),
        DIGITS,
        ("loss_of_wrong_sign", "component_at_fault"),
        ("loss",),
    ),
    Program(
        "digits: labels of other rows",
        ("data=planted", "data.plant=off_by_one", *DIGITS[1:]),
        DIGITS,
        ("targets_shifted", "targets_unrelated"),
    ),
    Program(
        "digits: test images prepared differently",
        ("data=planted", "data.plant=unscaled_validation", *DIGITS[1:]),
        DIGITS,
        ("splits_differ",),
    ),
    Program(
        "table: rows sorted by class before the split",
        ("data=planted", "data.plant=sorted_split", "data.source._target_=nnlab.data.BreastCancer", *CANCER[1:]),
        CANCER,
        ("splits_differ", "class_missing"),
    ),
    Program(
        "digits: batch norm with batches of one",
        (*DIGITS, "architecture.batch_norm=true", "trainer.batch_size=1"),
        DIGITS,
        ("train_evaluation_mismatch",),
        ("trainer.batch_size", "architecture.batch_norm"),
    ),
    Program(
        "digits: gradients clipped to nothing",
        (*DIGITS, "trainer.clip_norm=0.00001", "optimizer=sgd"),
        DIGITS,
        (),
        ("trainer.clip_norm",),
    ),
    Program(
        "digits: rate divided by ten after every step",
        (*DIGITS, "scheduler=step", "scheduler.unit=step", "scheduler.milestones=[1,2,3,4]"),
        DIGITS,
        ("learning_rate_decayed_too_early",),
        ("scheduler",),
    ),
)


def measured(program: Program, seed: int) -> dict[str, Any]:
    """One run of a program, as counts; `faulty` is whether it stays behind the mended one."""
    own = [*program.fault, "callbacks=[statistics]", f"seed={seed}"]
    run, mended = trained(own), trained([*program.repaired, "callbacks=[statistics]", f"seed={seed}"])
    found = diagnose(run.record)
    if worse_than_it_should(run.config, run.record, found):
        found = follow_up(run.config, run.record, found)
    faults = [finding for finding in found if finding.fault]
    return {
        "program": program.name,
        "seed": seed,
        "score": run.score,
        "mended": mended.score,
        "faulty": run.score < mended.score - 0.05,
        "first": bool(faults) and names_it(program, faults[0]),
        "said": any(names_it(program, finding) for finding in every(faults)),
        "found": [f"{finding.name} {finding.override}" for finding in faults],
    }


def main(arguments: Sequence[str]) -> int:
    """Run all programs, or continue; print a line for each, and the shares."""
    out = Path(arguments[0]) if arguments else None
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out and out.exists() else []
    done = {row["program"] for row in rows}
    for program in (*PROGRAMS, *MORE):
        if program.name not in done:
            rows.append(measured(program, seed=0))
            if out:
                with out.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    faulty = [row for row in rows if row["faulty"]]
    for row in rows:
        verdict = "first" if row["first"] else "said" if row["said"] else "missed" if row["found"] else "silent"
        print(f"| {row['program']} | {row['score']:.3f} | {row['mended']:.3f} | {verdict if row['faulty'] else '-'} |")
        if row["faulty"] and not row["first"]:
            print(f"{row['program']}: {row['found']}", file=sys.stderr)
    first, said = (sum(row[name] for row in faulty) for name in ("first", "said"))
    print(f"\n{len(faulty)} of {len(rows)} are faulty; root cause first {first}, said {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
