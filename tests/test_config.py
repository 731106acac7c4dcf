"""Configs: composed, checked against the constructors, and every mistake answered with one useful sentence."""

from __future__ import annotations

import enum
import inspect
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from toy_configs import Base, toy_configs, write_configs  # noqa: F401

from nnlab.cli import compose, messages
from nnlab.cli.composition import hydra_version
from nnlab.config import check, difference, identity
from nnlab.config.build import build_callbacks, build_trainer
from nnlab.config.checking import SUPPLIED
from nnlab.config.folder import config_folder, description, groups, options
from nnlab.config.lookup import locate
from nnlab.config.schema import signature
from nnlab.config.values import matches, words
from nnlab.errors import UserError


def mistake(*overrides: str, **options: Any) -> str:
    """The sentence with which composing is refused."""
    with pytest.raises(UserError) as caught:
        compose(*overrides, **options)
    return str(caught.value)


def test_a_composed_config_is_plain_and_resolved(toy: Path) -> None:
    config = compose("optimizer=sgd", "optimizer.momentum=0.5", "output_dir=${name}", "experiment=quick")
    assert config["optimizer"] == {"_target_": "toy.Sgd", "learning_rate": 0.1, "momentum": 0.5}
    assert config["trainer"]["epochs"] == 2
    assert config["output_dir"] == "train"
    assert config["data"]["preprocessing"]["_target_"] == "toy.Standardize"
    assert {type(config), type(config["optimizer"])} == {dict}
    assert type(config["sweep"]["zip"]) is list
    assert "hydra" not in config
    assert config["data_root"] is None


def test_a_whole_component_replaces_the_one_that_was_there(toy: Path) -> None:
    config = compose("optimizer={_target_: toy.Sgd, learning_rate: 0.2, momentum: 0.3}", "optimizer.momentum=0.4")
    assert config["optimizer"] == {"_target_": "toy.Sgd", "learning_rate": 0.2, "momentum": 0.4}
    config = compose("data.preprocessing={_target_: toy.Standardize}", "optimizer=adam")
    assert config["data"]["preprocessing"] == {"_target_": "toy.Standardize"}
    sentence = mistake("regularizer={_target_: toy.Dropout}")
    assert sentence == ("`regularizer` combines several components; name this one: `+regularizer.NAME={_target_: ...}`")
    sentence = mistake("optimizer={_target_: toy.Sgd, learning_rate: 1, momentun: 0.3}")
    assert sentence == (
        "unknown key `optimizer.momentun`; did you mean `optimizer.momentum`? "
        "(override `optimizer={_target_: toy.Sgd, learning_rate: 1, momentun: 0.3}`)"
    )


SENTENCES = {
    # groups and options
    "optimzer=adam": "unknown key `optimzer`; did you mean `optimizer`?",
    "optimizer=adm": "`optimizer` has no option `adm`; did you mean `adam`? (options: adam, broken,",
    "optimizer=3": "`optimizer` has no option `3` (options: adam,",
    "optimizer.Adam=adam": "unknown key `optimizer.Adam`",
    "regularizer=[weight_decay,dropot]": "`regularizer` has no option `dropot`; did you mean `dropout`?",
    "data/preprocesing=standardize": "there is no group `data/preprocesing`; did you mean `data/preprocessing`?",
    "preprocessing=standardize": "unknown key `preprocessing`; did you mean `data/preprocessing`?",
    "data.preprocessing=pca": "`data.preprocessing` must be a section with `_target_`, got 'pca'; "
    "choose an option with `data/preprocessing=pca` (override `data.preprocessing=pca`)",
    "experiment=quik": "`experiment` has no option `quik`; did you mean `quick`?",
    "experiment=astray": "`optimizer` has no option `adm` (in configs/experiment/astray.yaml); did you mean `adam`?",
    "+optimizer=sgd": "`+optimizer=sgd`: leave out the `+`",
    "~optimizer": "no `optimizer` is chosen; `nnlab list optimizer` shows the options",
    # keys
    "trainr.epochs=3": "unknown key `trainr.epochs`; did you mean `trainer.epochs`?",
    "trainr.epoch=3": "unknown key `trainr.epoch`; did you mean `trainer.epochs`?",
    "trainer.epoch=3": "unknown key `trainer.epoch`; did you mean `trainer.epochs`?",
    "optimizer.learning_rat=0.1": "unknown key `optimizer.learning_rat`; did you mean `optimizer.learning_rate`?",
    "learning_rate=0.1": "unknown key `learning_rate`; did you mean `optimizer.learning_rate`?",
    "optimizer.zzz=0.1": "unknown key `optimizer.zzz`; valid: _target_, amsgrad, betas, clip,",
    "seed.x=1": "unknown key `seed.x`; `seed` is a value without keys of its own",
    "~seed": "`seed` is missing (override `~seed`)",
    "~trainer.epochs": None,
    "+trainr.epochs=3": "unknown key `trainr`; did you mean `trainer`? (override `+trainr.epochs=3`)",
    "+optimizer.learning_rat=3": "unknown key `optimizer.learning_rat`; did you mean `optimizer.learning_rate`? "
    "(override `+optimizer.learning_rat=3`)",
    "+optimizer.device=cpu": None,
    "+architecture.input_shape=[3]": "unknown key `architecture.input_shape`; valid: widths",
    "+sweep.retry=3": "unknown key `sweep.retry`; did you mean `sweep.retries`? (override `+sweep.retry=3`)",
    "+regularizer.weight_decai.strength=3": "unknown key `regularizer.weight_decai`; did you mean "
    "`regularizer.weight_decay`? (override `+regularizer.weight_decai.strength=3`)",
    "++optimizer=sgd": "`++optimizer=sgd`: leave out the `++`, which adds keys and no options",
    "optimizer=null": "`optimizer=null`: an option of `optimizer` is a name; `nnlab list optimizer` shows them",
    "data/preprocessing=null": "`data.preprocessing=null` leaves it out",
    "regularizer=null": "`regularizer=[]` leaves it out",
    "+seed=3": "`+seed=3`: leave out the `+`, for the key is there already",
    "hydra.jobb.name=x": "unknown key `hydra.jobb.name`; did you mean `hydra.job.name`?",
    # values
    "trainer.epochs=many": "`trainer.epochs` must be a number or null, got 'many' (override `trainer.epochs=many`)",
    "trainer.batch_size=full": None,
    "trainer.batch_size=1.5": "`trainer.batch_size` must be a whole number or `full`, got 1.5",
    "trainer.batch_size=true": "`trainer.batch_size` must be a whole number or `full`, got true",
    "seed=x": "`seed` must be a whole number, got 'x' (override `seed=x`)",
    "name=${seed}": "`name` must be text, got 0 (override `name=${seed}`)",
    "seed=1.5": "`seed` must be a whole number, got 1.5",
    "sweep.dry_run=1": "`sweep.dry_run` must be true or false, got 1",
    "sweep=3": "`sweep` is a section with the keys retries, zip, dry_run, got 3",
    "optimizer.amsgrad=1": "`optimizer.amsgrad` must be true or false, got 1",
    "optimizer.learning_rate=null": "`optimizer.learning_rate` must be a number, got null",
    "optimizer.learning_rate=true": "`optimizer.learning_rate` must be a number, got true",
    "optimizer.betas=[0.9]": "`optimizer.betas` must be a list with 2 entries: a number, a number, got [0.9]",
    "optimizer.betas=[0.9,x]": "`optimizer.betas` must be a list with 2 entries: a number, a number, got [0.9, 'x']",
    "optimizer.mode=nestrov": "`optimizer.mode` has no option 'nestrov'; did you mean `nesterov`?",
    "architecture.widths=[8,x]": "`architecture.widths` must be a list, each entry a whole number, got [8, 'x']",
    "architecture.widths=8": "`architecture.widths` must be a list, each entry a whole number, got 8",
    "optimizer.inner={_target_:toy.Sgd}": "`optimizer.inner.learning_rate` is missing; `toy.Sgd` needs it",
    "optimizer.inner={_target_:toy.Mlp,_partial_:true}": None,
    "optimizer.inner={_target_:toy.Standardize}": "`optimizer.inner` must be of the kind Base, got `toy.Standardize`",
    "optimizer.inner={_target_:toy.Sgd,learning_rate:1,momentum:no-number}": "`optimizer.inner.momentum` must be a",
    # ranges, by the cheap constructors
    "optimizer.learning_rate=-1": "`optimizer.learning_rate` must be in (0, inf), got -1 "
    "(override `optimizer.learning_rate=-1`)",
    "regularizer.weight_decay.strength=-1": "`regularizer.weight_decay.strength` must be in [0, inf), got -1",
    # syntax
    "foo": "`foo` is not an override; write `key=value`",
    "optimizer.betas=[0.9,0.99": "cannot read the override `optimizer.betas=[0.9,0.99`",
    "optimizer=adam,sgd": "`optimizer=adam,sgd` gives several values; add `-m` to run each of them",
    "architecture.widths=8,9": "or write `architecture.widths=[8,9]` for a list",
    "=3": "`=3` is not an override",
    "seed=range(3)": "`seed=range(3)` gives several values; add `-m`",
    # files
    "optimizer=misspelt": "`optimizer._target_`: `toy` has no `Adm`; did you mean `toy.Adam`? "
    "(in configs/optimizer/misspelt.yaml)",
    "optimizer=elsewhere": "`optimizer._target_`: there is no module `toyy`",
    "optimizer=incomplete": "`optimizer.learning_rate` is missing; `toy.Sgd` needs it (in configs/optimizer/",
    "optimizer=wrong": "unknown key `optimizer.momentun`; did you mean `optimizer.momentum`? "
    "(in configs/optimizer/wrong.yaml)",
    "optimizer=broken": "configs/optimizer/broken.yaml, line 3: ",
    "optimizer=dangling": "`optimizer.learning_rate` cannot be resolved: Interpolation key 'optimizer.rate' not found",
    "experiment=typo": "unknown key `trainer.epoch`; did you mean `trainer.epochs`? (in configs/experiment/typo.yaml)",
    "seed=${nothing}": "`seed` cannot be resolved: Interpolation key 'nothing' not found",
    "seed=???": "`seed` has no value; add `seed=...`",
}


def test_a_launcher_whose_package_is_missing_is_answered_with_what_installs_it() -> None:
    # As Hydra says it where the package is missing, which it is not where the tests run.
    sentence = messages.no_option("hydra/launcher", "joblib", ["basic", "population"])
    assert sentence.startswith("`hydra/launcher` has no option `joblib`; install it with `pip install 'nnlab[joblib]'`")


@pytest.mark.parametrize("override", [key for key, sentence in SENTENCES.items() if sentence])
def test_a_mistake_is_answered_with_one_sentence_that_names_the_way_out(toy: Path, override: str) -> None:
    sentence = mistake(override)
    assert str(SENTENCES[override]) in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("override", [key for key, sentence in SENTENCES.items() if not sentence])
def test_what_is_valid_is_accepted(toy: Path, override: str) -> None:
    compose(override)


def test_an_empty_list_of_options_is_an_empty_section(toy: Path) -> None:
    assert compose("regularizer=[]")["regularizer"] == {}


def test_every_mistake_is_reported_with_its_own_origin(toy: Path) -> None:
    lines = mistake("optimizer=wrong", "seed=x").splitlines()
    assert len(lines) == 2
    assert any("wrong.yaml" in line for line in lines)
    assert any("override `seed=x`" in line for line in lines)


def test_a_constructor_with_kwargs_accepts_any_key(toy: Path) -> None:
    assert compose("optimizer=open", "+optimizer.anything=1")["optimizer"]["anything"] == 1


def test_options_of_ones_own_are_added_checked_and_named(toy: Path, tmp_path: Path) -> None:
    own = write_configs(tmp_path / "own", {"optimizer/mine.yaml": "# Mine.\n_target_: toy.Sgd\nlearning_rate: 2"})
    assert compose("optimizer=mine", config_dir=own)["optimizer"]["learning_rate"] == 2
    assert compose("optimizer=sgd", config_dir=own)["optimizer"]["learning_rate"] == 0.1
    (own / "optimizer/mine.yaml").write_text("_target_: toy.Sgd\nlearning_rate: x\n")
    assert str(own / "optimizer/mine.yaml") in mistake("optimizer=mine", config_dir=own)
    assert "does not exist" in mistake(config_dir=own / "nowhere")


def test_composing_leaves_the_hydra_of_others_alone(toy: Path) -> None:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    with initialize_config_dir(str(toy), **({"version_base": "1.3"} if hydra_version < (1, 4) else {})):
        theirs = GlobalHydra.instance().hydra
        compose("optimizer=sgd")
        with pytest.raises(UserError):
            compose("optimizer=adm")
        assert GlobalHydra.instance().hydra is theirs
        assert not HydraConfig.initialized()


def test_a_missing_section_of_the_primary_config_is_refused(toy: Path) -> None:
    config = compose()
    check(config)
    del config["sweep"]["zip"]
    config["foo"] = 1
    with pytest.raises(UserError, match=r"unknown key `foo`.*\n?.*`sweep.zip` is missing|`sweep.zip` is missing"):
        check(config)


CHANGES: dict[str, tuple[tuple[str, ...], bool]] = {
    "place": (("name=b", "output_dir=/tmp", "data_root=/data", "sweep.retries=7"), True),
    "machine": (("trainer.device=cuda", "trainer.time_limit=3"), True),
    "notation": (("trainer.epochs=30.0", "optimizer.learning_rate=1e-3"), True),
    "seed": (("seed=1",), False),
    "rate": (("optimizer.learning_rate=0.002",), False),
    "option": (("optimizer=sgd",), False),
    "length": (("trainer.epochs=31",), False),
    "an empty list": (("regularizer=[]",), False),
    "threads": (("trainer.threads=2",), True),
    "a component's own device": (("+optimizer.device=cpu",), False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_identity_is_what_decides_the_result_and_difference_shows_it(toy: Path, change: str) -> None:
    overrides, same = CHANGES[change]
    before, after = compose(), compose(*overrides)
    assert (identity(before) == identity(after)) is same
    assert (difference(before, after) == []) is same
    assert len(identity(before)) == 12
    assert int(identity(before), 16) >= 0


def test_difference_names_values_that_changed_came_and_went(toy: Path) -> None:
    assert difference(compose(), compose("optimizer=sgd", "trainer.epochs=null")) == [
        "`optimizer._target_`: 'toy.Adam' -> 'toy.Sgd'",
        "`optimizer.amsgrad`: false -> nothing",
        "`optimizer.betas`: [0.9, 0.999] -> nothing",
        "`optimizer.clip`: null -> nothing",
        "`optimizer.inner`: null -> nothing",
        "`optimizer.learning_rate`: 0.001 -> 0.1",
        "`optimizer.mode`: 'plain' -> nothing",
        "`optimizer.momentum`: nothing -> 0",
        "`trainer.epochs`: 30 -> null",
    ]


class Color(enum.Enum):
    RED = "red"


class Weights(enum.Enum):
    """As those of torchvision, whose values nobody can write."""

    DEFAULT = ("https://example.org", {})


FITS: list[tuple[Any, Any, bool]] = [
    (1, int, True), (1.0, int, False), (True, int, False), ("1", int, False),
    (1, float, True), (True, float, False), ("inf", float, False), (float("inf"), float, True),
    (None, float | None, True), (None, float, False), (0, bool, False), (False, bool, True),
    ("a", Literal["a", "b"], True), ("c", Literal["a", "b"], False), (True, Literal[1], False),
    ([1, 2], list[int], True), ([1, 2.5], list[int], False), ([], list[int], True), ("ab", list[str], False),
    ([1, 2], tuple[int, int], True), ([1], tuple[int, int], False), ([1, 2, 3], tuple[int, ...], True),
    ({"_target_": "x"}, Base, True), ({"x": 1}, Base, False), ("x", Base, False), ({"x": 1}, dict[str, int], True),
    ("anything", Any, True), ("path", Path, True), (3, Path, False),
    ("red", Color, True), ("RED", Color, False), ("DEFAULT", Weights, True), ("default", Weights, False),
]  # fmt: skip


@pytest.mark.parametrize(("value", "hint", "fits"), FITS)
def test_values_match_their_annotations(value: Any, hint: Any, fits: bool) -> None:
    assert matches(value, hint) is fits
    assert words(hint)


OPTIONS = [
    (group, file)
    for group in groups(config_folder())
    if not group.startswith(("experiment", "hydra"))
    for file in options(config_folder(), group)
]
LISTS = ("regularizer", "callbacks", "data/augmentation")


def test_every_option_passes_the_check() -> None:
    by_group: dict[str, list[str]] = {}
    for group, file in OPTIONS:
        by_group.setdefault(group, []).append(f"[{file.stem}]" if group in LISTS else file.stem)
    for position in range(max(map(len, by_group.values()))):
        choices = {group: names[position % len(names)] for group, names in by_group.items()}
        needed = ["data.path=somewhere"] if choices["data"] in ("arrays", "table", "image_folder") else []
        compose(*(f"{group}={option}" for group, option in choices.items()), *needed)


@pytest.mark.parametrize(("group", "file"), OPTIONS, ids=lambda part: part if isinstance(part, str) else part.stem)
def test_an_option_describes_itself_and_states_every_argument_with_its_default(group: str, file: Path) -> None:
    assert description(file)
    content = yaml.safe_load(file.read_text())
    arguments = signature(content["_target_"]).arguments
    defaults = inspect.signature(locate(content["_target_"])).parameters
    inner = {"preprocessing", "augmentation"}  # groups of their own
    stated = {key: value for key, value in content.items() if key not in {"_target_", *inner}}
    assert set(stated) == set(arguments) - SUPPLIED.get(group, set()) - inner
    for key, value in stated.items():
        default = defaults[key].default
        if default is not inspect.Parameter.empty and value != "???":
            assert value == (list(default) if isinstance(default, tuple) else default)


@pytest.mark.parametrize("file", options(config_folder(), "experiment"), ids=lambda file: file.stem)
def test_every_experiment_composes(file: Path) -> None:
    assert description(file)
    assert compose(f"experiment={file.stem}") != compose()


def test_an_exchanged_class_keeps_only_the_arguments_that_it_takes() -> None:
    section = compose("optimizer._target_=torch.optim.NAdam", "+optimizer.lr=0.5")["optimizer"]
    assert section == {"_target_": "torch.optim.NAdam", "lr": 0.5, "betas": [0.9, 0.999], "eps": 1e-8}


def test_what_the_user_wrote_for_an_exchanged_class_is_checked() -> None:
    with pytest.raises(UserError, match=r"unknown key `optimizer.learning_rate`; valid: .*lr"):
        compose("optimizer._target_=torch.optim.NAdam", "optimizer.learning_rate=0.5")


def test_steps_take_the_place_of_epochs() -> None:
    assert compose("trainer.steps=5")["trainer"]["steps"] == 5
    with pytest.raises(UserError, match=r"both are null"):
        compose("trainer.epochs=null")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["callbacks=[checkpoint]", "callbacks.statistics.tolerance=1", "~trainer.clip_value"], "which is not chosen"),
        (["data_seed=@x"], "`data_seed` must be a whole number or null"),
        (["data_seed=1.5"], "`data_seed` must be a whole number or null"),
        (["sweep.prune=max"], "`sweep.prune` must be a number in (0, 1), got 'max'"),
        (["sweep.prune=true"], "`sweep.prune` must be a number in (0, 1), got true"),
        (["regularizer=[[]]"], "the options of `regularizer` are names, got []"),
        (["callbacks=[checkpoint]", "+callbacks=[progress]"], "has no effect beside `callbacks=[checkpoint]`"),
        (["callbacks=[null]"], "the options of `callbacks` are names, got null"),
        (["callbacks=[checkpoint,1]"], "the options of `callbacks` are names, got 1"),
        (["~regularizer=[x]"], "`~regularizer` leaves all out, and `regularizer=[...]` keeps some"),
        (["output_dir=null"], "`output_dir` must be text, got null"),
        (["output_dir=[a]"], "`output_dir` must be text, got ['a']"),
        (["architecture={_target_: torch.nn.Sequential, _args_: 3}"], "`architecture._args_` must be a list, got 3"),
        (["hydra.verbose=true"], "`hydra.verbose` is not used"),
        (["hydra.runtime.cwd=x"], "`hydra.runtime.cwd` is not used"),
        (["+hydra.callbacks.x=[1,2,3]"], "`hydra.callbacks.x` must be a section with `_target_`"),
        (["+hydra.callbacks.x.a=1"], "`hydra.callbacks.x` must be a section with `_target_`"),
        (["+hydra.callbacks.x._target_=torch.nn.ReLU"], "`torch.nn.ReLU` is no `hydra.experimental.callback.Callback`"),
        (["hydra.searchpath=[nowhere]"], "path=nowhere is not available"),
    ],
)
def test_what_random_overrides_have_shown_is_answered_in_a_sentence(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        compose(*overrides)
    assert sentence in str(error.value)


def test_one_of_several_components_that_is_null_is_turned_off() -> None:
    config = compose("++callbacks.tensorboard=null", "++callbacks.checkpoint=null", "++regularizer.dropout=null")
    kept = {callback.name for callback in build_callbacks(config)}
    every = {callback.name for callback in build_callbacks(compose())}
    assert every - kept == {"callbacks.tensorboard", "callbacks.checkpoint"}
    assert build_trainer([config]).members
