"""Ten more of the faulty programs that `programs` describes, with what keeps them from learning."""

from __future__ import annotations

from benchmarks.diagnosis.program import Program, planted

MSE, BINARY, RAW = "loss=squared_error", "loss=binary_cross_entropy", "data/preprocessing=unscaled"
STEPS = ("trainer.epochs=null", "trainer.steps=500", "data.validation=0.25")
DIGITS = ("data=digits", *STEPS)
CANCER = ("data=breast_cancer", *STEPS)
MOONS = ("data=moons", "trainer.epochs=null", "trainer.steps=800", "data.validation=0.25")
CURVE = ("data=generated", "data.kind=curve", MSE, *STEPS)
WINE = ("data=generated", "data.kind=wine", "data.examples=178", "trainer.epochs=null", "trainer.steps=300")
SPIRALS = ("data=spirals", "data.noise=0.02", "trainer.epochs=null", "trainer.steps=1200", "data.validation=0.25")
LOW, SHORT = ("learning_rate_too_low",), ("still_improving",)

MORE = (
    Program(
        "digits: tanh on the output of a classifier",
        (*DIGITS, *planted("tanh_at_the_end"), "optimizer=sgd", "optimizer.learning_rate=0.01"),
        DIGITS,
        ("output_layer_not_linear", "component_at_fault"),
        ("architecture",),
    ),
    Program(
        "points: a rate of 1e-4 with momentum",
        (*MOONS, "optimizer=momentum", "optimizer.learning_rate=0.0001"),
        MOONS,
        LOW,
        ("optimizer",),
    ),
    Program(
        "table: Adadelta at the rate of Adam",
        (*CANCER, BINARY, "optimizer=adadelta", "optimizer.learning_rate=0.001"),
        (*CANCER, BINARY),
        LOW,
        ("optimizer",),
    ),
    Program(
        "points: a first layer that is not trained",
        (*MOONS, *planted("first_frozen"), "architecture.widths=[4,4]"),
        MOONS,
        ("frozen_layers", "component_at_fault"),
        ("architecture",),
    ),
    Program(
        "regression: dropout of 0.8 in a small network",
        (*CURVE, "regularizer=[weight_decay,dropout]", "regularizer.dropout.p=0.8", "architecture.widths=[16,16]"),
        CURVE,
        ("penalty_too_strong",),
        ("regularizer",),
    ),
    Program(
        "wine: columns as they are, plain descent",
        (*WINE, RAW, "optimizer=sgd", "optimizer.learning_rate=0.01"),
        WINE,
        ("inputs_not_standardized",),
        ("data/preprocessing",),
    ),
    Program(
        "digits: all examples in every batch, twenty epochs",
        (*DIGITS, "trainer.batch_size=full", "trainer.steps=20", "optimizer=sgd", "optimizer.learning_rate=0.01"),
        DIGITS,
        (*SHORT, *LOW),
        ("trainer.", "optimizer"),
    ),
    Program(
        "spirals: three units",
        (*SPIRALS, "architecture.widths=[3]"),
        (*SPIRALS, "architecture.widths=[64,64]"),
        ("underfitting",),
        ("architecture",),
    ),
    Program(
        "digits: labels of the test part numbered anew",
        ("data=planted", "data.plant=labels_renamed", "data.source._target_=nnlab.data.Digits", *STEPS[:2]),
        DIGITS,
        ("classes_renamed", "splits_differ"),
    ),
    Program(
        "regression: missing targets as 9999",
        (
            *("data=planted", "data.plant=placeholder_targets", "data.source._target_=nnlab.data.Diabetes"),
            *(MSE, "trainer.epochs=null", "trainer.steps=400"),
        ),
        ("data=diabetes", MSE, "trainer.epochs=null", "trainer.steps=400", "data.validation=0.25"),
        ("placeholders", "target_outliers"),
    ),
)
