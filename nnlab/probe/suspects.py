"""What in a configuration differs from one that is known to train well, each difference with the change that undoes it.

Healthy are the defaults of `nnlab train`: the values of each chosen option, and the options of the rules that train.
What makes a task what it is (the data, a loss that fits them) stays. Components that are not nnlab's own are put in
question as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nnlab.config import config_folder
from nnlab.config.chosen import option_of, read_option
from nnlab.config.dotted import MISSING, exists, get
from nnlab.config.folder import primary
from nnlab.recipe.changes import Changes, Config, text

KEPT_OPTIONS = ("architecture", "loss")  # of nnlab's own, any may suit the task
SWAPPED = ("activation", "initialization", "optimizer", "scheduler")
DATA_KEYS = {"standardize_targets": True, "label_noise": 0.0, "limit": None}
FASTER = 3.0  # times the usual rate, tried besides where an optimizer of one's own is exchanged
HALF, USUAL_VALIDATION = 0.5, 0.1  # share of validation above which training has the smaller part
# Keys that decide how long and where training happens, not how well.
NEUTRAL = (
    *("_target_", "device", "threads", "deterministic", "cuda_graphs", "compile", "metric", "time_limit"),
    *("validate_every", "validate_unit", "epochs", "steps"),
)


@dataclass(frozen=True)
class Suspect:
    """A difference, or advice.

    Attributes:
        key: the key or group that it is about.
        changes: what undoes it.
        before: the present value, as one would type it.
        foreign: the component that is not nnlab's own, where it is one.
    """

    key: str
    changes: Changes
    before: str
    foreign: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The overrides that undo it."""
        return tuple(f"{key}={text(value)}" for key, value in self.changes.items())

    @property
    def label(self) -> str:
        """The overrides in a line."""
        return " ".join(self.words)

    def exchanges(self, component: Suspect) -> bool:
        """Whether these changes exchange the component that another suspect is about."""
        group, _, name = component.key.partition(".")
        return group in self.changes and (group != "regularizer" or name not in self.changes[group])


def suspects(config: Config, regression: bool) -> list[Suspect]:
    """All differences of a config from a healthy one; single values first, then whole options."""
    found = [*_values(config), *_trainer(config), *_regularizers(config), *_data(config), *_options(config, regression)]
    return list({suspect.label: suspect for suspect in found}.values())


def all_back(found: list[Suspect]) -> dict[str, Any]:
    """The changes of all suspects at once; of an option that is exchanged the values go with it."""
    merged = {key: value for suspect in found for key, value in suspect.changes.items()}
    exchanged = [key.replace("/", ".") for key in merged if "." not in key and key != "regularizer"]
    names = merged.get("regularizer")
    return {
        key: value
        for key, value in merged.items()
        if not any(key.startswith(f"{group}.") for group in exchanged)
        and not (names is not None and key.startswith("regularizer.") and key.split(".")[1] not in names)
    }


def _values(config: Config) -> Iterator[Suspect]:
    """Values of chosen options that are not those of their files."""
    for group in (*SWAPPED, *KEPT_OPTIONS, "data/preprocessing"):
        section = get(config, group.replace("/", ".")) or {}
        option = option_of(group, section)
        usual = read_option(group, option) if option else {}
        yield from _differing(group.replace("/", "."), section, usual)


def _differing(path: str, section: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[Suspect]:
    for key, value in usual.items():
        present = section.get(key, MISSING)
        if key != "_target_" and present is not MISSING and present != value and not isinstance(present, Mapping):
            yield Suspect(f"{path}.{key}", {f"{path}.{key}": value}, f"{path}.{key}={text(present)}")


def _trainer(config: Config) -> Iterator[Suspect]:
    usual = primary("train", config_folder()).values["trainer"]
    kept = {key: value for key, value in usual.items() if key not in NEUTRAL}
    yield from _differing("trainer", config["trainer"], kept)


def _regularizers(config: Config) -> Iterator[Suspect]:
    sections = config.get("regularizer") or {}
    for name, section in sections.items():
        option = option_of("regularizer", section)
        usual = read_option("regularizer", option) if option else {}
        yield from _differing(f"regularizer.{name}", section, usual)
        if name != "weight_decay":
            rest = [other for other in sections if other != name]
            foreign = "" if option else str(section.get("_target_"))
            yield Suspect(f"regularizer.{name}", {"regularizer": rest}, f"regularizer=[{','.join(sections)}]", foreign)


def _data(config: Config) -> Iterator[Suspect]:
    section = config["data"]
    option = option_of("data", section)
    usual = {**DATA_KEYS, **(read_option("data", option) if option else {})}
    yield from _differing("data", section, {key: usual[key] for key in DATA_KEYS})
    if section.get("validation", 0.0) > HALF:
        kept = usual.get("validation", USUAL_VALIDATION)
        yield Suspect("data.validation", {"data.validation": kept}, f"data.validation={text(section['validation'])}")
    augmentation = list(section.get("augmentation") or {})
    if augmentation:
        yield Suspect("data/augmentation", {"data/augmentation": []}, f"data/augmentation=[{','.join(augmentation)}]")


def _options(config: Config, regression: bool) -> Iterator[Suspect]:
    """Options of the rules that train which are not the usual ones, and components from outside."""
    choices = primary("train", config_folder()).choices
    for group in (*SWAPPED, "data/preprocessing", *KEPT_OPTIONS):
        path = group.replace("/", ".")
        if not exists(config, path):
            continue
        section = get(config, path) or {}
        option, usual = option_of(group, section), str(choices[group])
        if group == "loss" and regression:
            usual = "squared_error"
        if option == usual or (group in KEPT_OPTIONS and option not in (None, "perceptron")):
            continue
        target = str(section.get("_target_", "none"))
        before = f"{group}={option}" if option else f"{path}._target_={target}"
        yield Suspect(group, {group: usual}, before, "" if option else target)
        if group == "optimizer" and not option:  # the usual rate of another rule may be too small for as short a run
            rate = FASTER * read_option(group, usual)["learning_rate"]
            yield Suspect(group, {group: usual, "optimizer.learning_rate": rate}, before, target)
