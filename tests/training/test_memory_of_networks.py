"""How many networks are trained at once depends on what one of them takes, its parameters and optimizer too."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from nnlab.cli import compose
from nnlab.config.build import build_trainer
from nnlab.device import give_back
from nnlab.probe.experiments import Experiments
from nnlab.recipe.trials import Trials
from nnlab.runs.out_of_fold import out_of_fold
from nnlab.training import Trainer, memory
from nnlab.training.memory import NotEnoughMemory, network_bytes, step_bytes


def _trainer(*words: str, members: int = 1) -> Trainer:
    return build_trainer([compose("data=digits", "callbacks=[]", *words, f"seed={seed}") for seed in range(members)])


def test_a_network_takes_its_parameters_optimizer_minibatches_and_predictions() -> None:
    trainer = _trainer("trainer.batch_size=50", "optimizer=adam")
    parameters, examples = trainer.stack.theta.shape[1], len(trainer.members[0].dataset.train)
    numbers = (memory.COPIES + 2) * parameters + 2 * 50 * 64 + 20 * examples
    assert network_bytes(trainer) == step_bytes(trainer) + 4 * numbers


def test_a_chain_keeps_the_outputs_of_its_layers() -> None:
    trainer = _trainer("trainer.batch_size=100", "architecture.widths=[64,32]", "trainer.engine=torch")
    outputs = 64 + 64 + 32 + 32  # before and after the activations; the last layer's are not kept
    assert step_bytes(trainer) == 4 * 100 * (outputs + memory.SIGNALS * 64)


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(
    "words",
    [
        ("architecture.widths=[512,512]", "trainer.engine=torch"),
        ("architecture=convnet",),
        ("architecture=convnet", "architecture.batch_norm=true"),
        ("architecture=convnet", "architecture.variant=all_convolutional"),
        ("architecture=resnet", "architecture.width=8", "architecture.blocks=1"),
    ],
    ids=lambda words: " ".join(word.partition(".")[2] or word for word in words),
)
def test_a_step_takes_about_what_is_measured(words: tuple[str, ...], members: int) -> None:
    trainer = _trainer(*words, "trainer.batch_size=256", members=members)
    expected = step_bytes(trainer) + trainer.stack.gradient[0].nbytes
    trainer.advance(1)
    assert 0.8 < members * expected / _peak(lambda: trainer.advance(1)) < 1.5


def _peak(function: Callable[[], object]) -> int:
    """Bytes that torch holds at most of what it allocates in a function."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        function()
    events = [event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


def test_measuring_a_step_leaves_no_trace() -> None:
    trainer = _trainer("architecture=convnet", "architecture.batch_norm=true")
    before = {name: value.clone() for name, value in trainer.stack.buffers.items()}
    step_bytes(trainer)
    assert all(torch.equal(value, before[name]) for name, value in trainer.stack.buffers.items())
    assert not trainer.stack.gradient.any()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads what Linux counts")
def test_what_a_measured_pass_kept_is_freed() -> None:
    stack = _trainer("architecture=convnet").stack
    inputs = torch.rand(1, 512, 1, 8, 8)
    size = stack.pass_size(inputs).kept

    def taken() -> int:
        give_back()
        words = Path("/proc/self/status").read_text().split()
        return int(words[words.index("RssAnon:") + 1]) * 1024

    before = taken()
    for _ in range(10):
        stack.pass_size(inputs)
    assert taken() - before < 3 * size


@pytest.mark.parametrize(("networks", "together"), [(0.5, 1), (3.5, 3), (100, 8)])
def test_trials_are_as_many_at_once_as_the_memory_holds(
    networks: float, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose("data=digits", "callbacks=[]", "architecture.widths=[1000]")
    one = network_bytes(build_trainer([config]))
    monkeypatch.setattr(memory, "free_memory", lambda device: int(networks * one / memory.SHARE))
    groups = Trials(config).groups([{"seed": seed} for seed in range(8)])
    assert max(map(len, groups)) == together
    assert sorted(position for group in groups for position in group) == list(range(8))


@pytest.mark.parametrize("wanted", [out_of_fold, lambda config: Experiments(config, 10, None, 1.0)])
def test_where_not_even_one_fits_a_sentence_says_what_it_takes(
    wanted: Callable[[object], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose("data=digits", "callbacks=[]", "architecture=resnet", "trainer.batch_size=1000")
    monkeypatch.setattr(memory, "free_memory", lambda device: 100_000_000)
    message = (
        r"about 0\.\d+ GB of memory with minibatches of (1000|969), and 0\.1 GB are free: make `trainer.batch_size` sm"
    )
    with pytest.raises(NotEnoughMemory, match=message):
        wanted(config)


def test_a_trial_that_does_not_fit_is_no_network_that_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    experiments = Experiments(compose("data=digits", "callbacks=[]", "architecture=resnet"), 10, None, 9.0)
    monkeypatch.setattr(memory, "free_memory", lambda device: 100_000_000)
    with pytest.raises(NotEnoughMemory, match="minibatches of 1000"):
        experiments.run([{"trainer.batch_size": 1000}])
