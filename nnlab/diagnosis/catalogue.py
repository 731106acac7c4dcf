"""Every kind of finding, once: its name, why it happens, how bad it is, what it explains, and its place among causes.

The table is in the order of causes: what stands higher is named first where several are found, and takes what it
explains beneath it. A kind may have a second place for a `variant` of it: units that are dead from the start are a
cause, units that died are most often the consequence of a learning rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# fault: something is wrong and should be mended. note: worth knowing, the run may be fine as it is.
Severity = Literal["fault", "note"]


@dataclass(frozen=True)
class Kind:
    """A row of the table.

    Attributes:
        name: such as `learning_rate_too_high`.
        why: one or two sentences for a student; a finding may have its own instead.
        severity: unless a finding says otherwise.
        explains: names of findings that are consequences of this one.
        variant: of which this is the place.
        symptom: whether it says what happened rather than why; alone it is called a symptom.
        stays: whether it stays a fault of the data where its remedy, which changes no example, gave nothing.
    """

    name: str
    why: str = ""
    severity: Severity = "fault"
    explains: tuple[str, ...] = ()
    variant: str = ""
    symptom: bool = False
    stays: bool = False


# What a network that does not learn shows, whatever the cause.
OUTCOME = (
    "loss_exploded",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "learning_rate_decayed_too_early",
    "plateau",
    "vanishing_gradients",
    "exploding_gradients",
    "dead_units",
    "saturated_units",
    "hockey_stick_start",
    "underfitting",
    "still_improving",
    "class_collapse",
    "targets_unrelated",
    "update_ratio_out_of_range",
    "overfitting",
    "train_evaluation_mismatch",
    "cut_off",
)
LATE = ("loss_exploded", "plateau", "underfitting", "still_improving", "class_collapse", "update_ratio_out_of_range")

CATALOGUE: tuple[Kind, ...] = (
    # By experiment, after a run that ends worse than it should, or on `nnlab diagnose RUN --probe`.
    Kind(
        "splits_differ",
        "What was learned on the one does not hold on the other. Draw both from the same rows, in random order, and "
        "prepare them in the same way.",
        explains=("overfitting", "leakage_between_splits", "targets_unrelated", "validation_easier", "still_improving"),
    ),
    Kind(
        "classes_renamed",
        "The labels of the two splits were numbered in different orders. Make the numbers once, for all splits.",
        explains=("overfitting", "targets_unrelated", "class_collapse"),
    ),
    Kind(
        "targets_shifted",
        "Inputs and targets were put together with an offset, such as a header that was counted in one file only.",
        explains=OUTCOME,
    ),
    Kind("component_at_fault"),
    Kind("setting_at_fault"),
    Kind(
        "cause_not_found",
        "Something is wrong, and its cause is not known: the settings that were tried, and the labels and splits of "
        "the data, are not it. What else is said are symptoms.",
    ),
    Kind(
        "better_still",
        "More than one thing holds the run back.",
        severity="note",
    ),
    # The data.
    Kind(
        "inputs_not_finite",
        "Every weight that meets them becomes NaN. Remove or replace these values.",
        explains=OUTCOME,
    ),
    Kind(
        "inputs_constant",
        "The network cannot tell one example from another: something before it (reading, selecting, scaling) has wiped "
        "the inputs out.",
        explains=OUTCOME,
    ),
    Kind(
        "inputs_constant",
        "The network can learn no more than its answer. Bring more rows, or leave more of them for training.",
        variant="single",
        explains=(*OUTCOME, "noisy_validation", "behind_simple_methods"),
    ),
    Kind(
        "inputs_lost",
        "They look like rows whose inputs could not be read, and were filled with one value.",
        explains=(*OUTCOME, "labels_wrong", "inputs_not_standardized"),
    ),
    Kind(
        "rows_standardized",
        "Rows seem to have been standardized each by itself, along the wrong axis: how large the values of a row were "
        "is lost, and of columns in different units a few decide. Standardize columns, from the values before. Of "
        "columns in one unit it may be meant.",
        severity="note",
        explains=(*OUTCOME, "labels_wrong", "labels_wrong_or_chance", "columns_without_use", "behind_simple_methods"),
    ),
    Kind(
        "columns_sorted",
        "They look as if they had been sorted alone, as in a spreadsheet, so that their values belong to other rows. "
        "Take them again from where they come from.",
        explains=(*OUTCOME, "columns_without_use", "labels_wrong", "labels_wrong_or_chance", "classes_mixed_up"),
    ),
    Kind(
        "placeholders",
        "It stands for a value that is not known. Make it an empty cell, which a table's `data.missing=[VALUE]` does, "
        "so that it is filled in and marked, or leave these rows out.",
        explains=(*OUTCOME, "target_outliers", "inputs_not_standardized", "targets_not_standardized"),
    ),
    Kind("placeholders", variant="harmless", severity="note"),
    Kind(
        "lone_values",
        "Correct them, or leave these rows out; scaling by quartiles bears them.",
        severity="note",
        explains=(*OUTCOME, "labels_wrong", "classes_mixed_up", "inputs_not_standardized"),
    ),
    Kind(
        "uneven_scale",
        "Look whether all values are in the same unit. Scaling by quantiles bears them.",
        severity="note",
        explains=(*OUTCOME, "labels_wrong", "classes_mixed_up", "inputs_not_standardized"),
    ),
    Kind(
        "inputs_not_standardized",
        "Far from zero mean and unit variance the loss is steep in some directions and flat in others, and no rate "
        "suits both.",
        explains=(*OUTCOME, "targets_not_standardized"),
    ),
    Kind(
        "targets_not_standardized",
        "The outputs of a fresh network are of size 1: errors, and so gradients, are of the wrong size until they "
        "agree.",
        explains=OUTCOME,
    ),
    Kind(
        "class_missing",
        "The network can only learn to never answer it. Check how labels are read and how the splits are made.",
        explains=("overfitting", "underfitting", "class_collapse", "plateau", "still_improving", "imbalance_ignored"),
    ),
    Kind(
        "classes_spelled_alike",
        "They are one class under two names, which nothing can tell apart. Write each in one way.",
        explains=("underfitting", "overfitting", "plateau", "still_improving", "targets_unrelated", "classes_mixed_up"),
    ),
    Kind(
        "target_outliers",
        "A few examples decide the squared error, and so the loss, the metric and the gradient. Check them; where they "
        "are right, and no target is below 0, their logarithm may be the better scale.",
        severity="note",
        explains=OUTCOME,
        stays=True,
    ),
    Kind(
        "leakage_between_splits",
        "Such a split measures memory, not generalization. Remove duplicates before splitting, and keep what belongs "
        "together (one patient) in one split.",
        explains=("validation_easier",),
    ),
    Kind(
        "target_among_inputs",
        "The answer seems to be among the inputs. If this column is known only once the target is, leave it out.",
        explains=("validation_easier",),
    ),
    Kind(
        "target_among_inputs",
        "Classes mix at its borders, as they do where a column is one good measurement. If it is known only once the "
        "target is, leave it out.",
        severity="note",
        variant="measured",
    ),
    Kind(
        "labels_wrong",
        "Networks that have not seen these examples agree on another answer. Look at them, and at how labels were "
        "made.",
        explains=(
            "overfitting",
            "validation_easier",
            "underfitting",
            "plateau",
            "still_improving",
            "imbalance_ignored",
        ),
    ),
    Kind(
        "columns_without_use",
        "What the others have to do with the training targets is chance, and is learned by heart. Leave them out, or "
        "get more examples.",
        explains=("overfitting", "underfitting", "plateau", "still_improving", "behind_simple_methods"),
    ),
    Kind(
        "labels_wrong_or_chance",
        "Either a part of the labels is wrong, or what decides is not among the inputs, or is too involved for so few "
        "examples: these data cannot tell. Look at some examples; another labeling of a few would tell.",
        severity="note",
    ),
    Kind("validation_easier", "The validation split is easier, or the training labels are noisier."),
    Kind(
        "class_collapse", "The class weights tell the loss to care for little else.", explains=OUTCOME, variant="skewed"
    ),
    # The network, the loss and the rules, before any training.
    Kind(
        "wrong_output_size",
        "The output layer needs one output for each class or target, as the loss says; let the loss make it (`head`).",
        explains=OUTCOME,
    ),
    Kind(
        "loss_not_as_in_theory",
        "The loss, or its output layer, does not compute what it should.",
        explains=OUTCOME,
    ),
    Kind("loss_of_wrong_sign", "Every step makes the loss larger.", explains=OUTCOME),
    Kind(
        "train_evaluation_mismatch",
        "The running statistics of batch norm have hardly left their initial values: evaluation uses wrong ones.",
        explains=OUTCOME,
        variant="stale",
    ),
    Kind(
        "penalty_too_strong",
        explains=(*OUTCOME, "symmetric_units"),
        variant="with symmetric units",  # weights that were pulled to zero are all alike
    ),
    Kind(
        "symmetric_units",
        "Units that start with the same weights get the same gradient in every step and stay equal, and so the layer "
        "is as good as one unit.",
        explains=OUTCOME,
    ),
    Kind(
        "frozen_layers",
        "Such a layer keeps its random weights, and the others learn around it. Look for `requires_grad=False`, "
        "`detach()` or `no_grad` in the architecture.",
        explains=OUTCOME,
    ),
    Kind(
        "doubled_output_layer",
        "A softmax or sigmoid on the outputs is followed by that of the loss: differences between the outputs are at "
        "most 1, so that the loss cannot come near its floor. Leave it out.",
        explains=(*OUTCOME, "output_layer_not_linear"),
    ),
    Kind(
        "output_layer_not_linear",
        "There is an activation (sigmoid, ReLU or softmax) on the outputs, but the loss expects linear ones, of either "
        "sign and any size. Leave it out.",
        explains=OUTCOME,
    ),
    Kind(
        "examples_mixed",
        "An operation in the network mixes the examples of a batch: a wrong axis, reshape or transpose.",
        explains=OUTCOME,
    ),
    Kind(
        "noise_in_evaluation",
        "Something random, such as dropout, stays on in evaluation: predictions are noisier and worse than they need "
        "be. Draw masks only where `module.training` is true.",
        explains=("underfitting", "plateau", "train_evaluation_mismatch"),
    ),
    Kind(
        "gradients_not_cleared",
        "Gradients of earlier batches are added to those of the present one: clear them before each backward pass.",
        explains=OUTCOME,
    ),
    Kind(
        "gradient_off",
        "The backward pass does not fit the forward pass, or the loss is too rough to be followed.",
        severity="note",
        explains=OUTCOME,
    ),
    Kind(
        "exploding_gradients",
        "Initial weights this large do not keep the size of the signal.",
        explains=OUTCOME,
    ),
    Kind(
        "saturated_units",
        "There the activation is flat, and almost no gradient passes. Smaller initial weights keep units in the steep "
        "middle.",
        explains=OUTCOME,
    ),
    Kind(
        "dead_units",
        "Their biases or weights push the inputs of the activation below zero, where its gradient is zero, so they "
        "cannot recover.",
        explains=OUTCOME,
    ),
    Kind(
        "vanishing_gradients",
        "Backpropagation multiplies the gradient by small weights or flat activations in every layer, so the first "
        "layers do not learn; Adam may hide that, plain gradient descent does not move.",
        explains=OUTCOME,
    ),
    Kind(
        "hockey_stick_start",
        "The weights are too large: the fresh network is confidently wrong, and the first steps only undo that. The "
        "curve then looks like a hockey stick.",
        explains=OUTCOME,
    ),
    # Training.
    Kind(
        "penalty_too_strong",
        "It pulls the weights to zero faster than the data can pull them away.",
        explains=(*OUTCOME, "symmetric_units"),
    ),
    Kind("underfitting", variant="bottleneck", explains=(*LATE, "learning_rate_too_high")),
    Kind(
        "learning_rate_too_high",
        "Each step overshoots the minimum of the loss along the gradient.",
        explains=OUTCOME,
    ),
    Kind("loss_exploded", "Each update made the next gradient larger.", explains=OUTCOME, symptom=True),
    Kind(
        "imbalance_ignored",
        "Ignoring it costs the loss little, and the accuracy hides it.",
        explains=OUTCOME,
    ),
    Kind(
        "learning_rate_decayed_too_early",
        "The loss stayed where it was from then on, although there was more to learn.",
        explains=OUTCOME,
    ),
    Kind("learning_rate_too_low", "Training would take far longer.", explains=OUTCOME),
    Kind(
        "saturated_units",
        "There the activation is flat, and almost no gradient passes.",
        explains=OUTCOME,
        variant="late",
    ),
    Kind(
        "dead_units",
        "A large update has pushed the inputs of the activation below zero for every example, where its gradient is "
        "zero, so they cannot recover.",
        explains=OUTCOME,
        variant="late",
    ),
    Kind(
        "cut_off",
        "Behind it all units are dead or saturated, or the layer is not connected: nothing that it learns can matter.",
        symptom=True,
    ),
    Kind(
        "train_evaluation_mismatch",
        "The network that is evaluated is not the one that was trained.",
        explains=OUTCOME,
    ),
    Kind(
        "targets_unrelated",
        "The targets seem unrelated to the inputs: labels are shuffled, belong to other inputs, or have nothing to do "
        "with them, or it takes more examples to see what. Check how they were put together.",
        explains=OUTCOME,
    ),
    Kind("noisy_validation", variant="few", severity="note"),  # what follows is judged by these few
    Kind(
        "classes_mixed_up",
        "The labels of these two classes are swapped in a part of the data, or the inputs do not tell them apart. Look "
        "at some of their examples.",
    ),
    Kind(
        "overfitting",
        "The network goes on to learn by heart what is particular to its training examples. Regularization narrows the "
        "gap; more examples, where they can be had, close it.",
        explains=LATE,
    ),
    Kind(
        "class_collapse",
        "Its outputs no longer depend on the input.",
        explains=OUTCOME,
        symptom=True,
    ),
    Kind("still_improving", "Training ended before it had come to an end.", explains=LATE),
    Kind(
        "underfitting",
        "More capacity, more steps or another rate may find more.",
        explains=(*LATE, "learning_rate_too_high"),
        symptom=True,
    ),
    Kind(
        "plateau",
        "The data can be learned better. A larger rate, momentum or another initialization may leave the plateau.",
        explains=LATE,
        symptom=True,
    ),
    Kind("behind_simple_methods", "Something is wrong that no rule knows.", symptom=True),
    Kind("noisy_validation", "Choices made by it are partly chance.", severity="note"),
    Kind("underfitting", variant="note", severity="note", explains=LATE),
    Kind("still_improving", variant="note", severity="note", explains=LATE),
    Kind("update_ratio_out_of_range", severity="note"),
    # Steps 2 to 7 of the recipe.
    Kind("loss_does_not_fall", symptom=True),
    Kind("bad_initialization", "No gradient gets through the network as it starts."),
    Kind("learns_too_slowly", "Gradients are small, or the network is hard to optimize.", symptom=True),
    Kind(
        "stuck_above_floor",
        "Too little capacity, frozen or dead units, or an output layer that does not fit the loss.",
        symptom=True,
    ),
    Kind(
        "hidden_by_optimizer",
        "The adaptive optimizer rescales every gradient and so hides that signals or gradients are far too small or "
        "too large: look at the initialization, the inputs' scale, and saturating activations.",
    ),
    Kind("optimizer_worse_than_plain", "Something about the optimizer or its settings is off."),
    Kind(
        "fits_smaller_sample_only", "The labels are noisy, the task is hard, or the network is small.", severity="note"
    ),
    Kind("all_diverged", "No rate is stable over whole epochs."),
    Kind(
        "edge_of_grid",
        "The best was at the edge, so better values may lie beyond it; the grid was extended there.",
        severity="note",
    ),
    Kind(
        "failed_seed", "The learning rate is at the edge of what is stable for some initial weights, or too few steps."
    ),
    Kind(
        "outlying_seed",
        "One network in so many is far worse than the others, so a single run may be: train several, and take the best "
        "on validation.",
        severity="note",
    ),
    Kind(
        "rate_lowered",
        "A rate that works for most seeds is too high for all of them; half of it keeps a margin.",
        severity="note",
    ),
    Kind(
        "given_configuration_better",
        "What was found is no better than what it began with: more validation examples, or more time, may find more.",
        severity="note",
    ),
    Kind(
        "simple_model_better",
        "Take the simpler model, or give the network more time, other features or stronger regularization.",
        severity="note",
    ),
    Kind(
        "generalization_gap",
        "The network knows its training examples better than new ones: that is what regularization is for.",
        severity="note",
    ),
    Kind(
        "noisy_loss",
        "The rate is still high enough to throw the weights about; letting it decay settles them.",
        severity="note",
    ),
    Kind(
        "constant_features",
        "They carry no information; that is harmless, and usual at the edges of images.",
        severity="note",
    ),
    Kind("classes_imbalanced", "Accuracy must be read against that.", severity="note"),
)

# Notes that ask for experiments, in which their remedy is tried.
DOUBTS = ("lone_values", "uneven_scale", "target_outliers")
PLACES = {(kind.name, kind.variant): place for place, kind in enumerate(CATALOGUE)}
NAMES = tuple(sorted({kind.name for kind in CATALOGUE}))

# Names that runs and recipes of earlier versions have in their files.
FORMER = {
    "inputs_not_normalised": "inputs_not_standardized",
    "targets_not_standardised": "targets_not_standardized",
    "leakage_suspected": "leakage_between_splits",
    "no_learning": "targets_unrelated",
    "labels_unrelated": "targets_unrelated",
    "constant_initialization": "symmetric_units",
    "frozen_layer": "frozen_layers",
    "weights_too_small": "vanishing_gradients",
    "saturating_activation": "vanishing_gradients",
    "weights_too_large": "hockey_stick_start",
    "loss_explodes": "loss_exploded",
    "bad_start": "hockey_stick_start",
}


def kind_of(name: str, variant: str = "") -> Kind:
    """The row of a name, that of its variant where it has one of its own; an unknown name has no words."""
    place = PLACES.get((name, variant), PLACES.get((name, "")))
    return Kind(name) if place is None else CATALOGUE[place]
