"""The driver: claims, failures, memory, and the table; training is replaced by what each test needs."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nnlab.device import out_of_memory
from nnlab.errors import UserError
from nnlab.storage.claim import claimed, try_claim
from nnlab.storage.files import make_folder
from nnlab.sweep.driver import Driver, Policy
from nnlab.sweep.grouping import Cost, by_key, parted, plan
from nnlab.sweep.job import PENDING, Job, Outcome, condition
from nnlab.sweep.summary import Summary

Fake = Callable[[Sequence[Job]], list[Outcome]]
CPU = torch.device("cpu")


def jobs_in(folder: Path, count: int, key: str | None = "k") -> list[Job]:
    return [Job([f"seed={i}"], {}, folder / f"seed={i}", f"identity{i}", key) for i in range(count)]


def complete(job: Job, status: str = "completed") -> Outcome:
    make_folder(job.directory)
    result = {"status": status, "metrics": {"test": {"accuracy": 0.5}}, "steps": 3, "identity": job.identity}
    (job.directory / "result.json").write_text(json.dumps(result))
    (job.directory / "config.yaml").write_text("{}")
    (job.directory / "overrides.yaml").write_text(yaml.safe_dump(list(job.overrides)))
    return Outcome(result)


class Recorder:
    """Trains by writing results, and notes what was asked for and said."""

    def __init__(self, fail: Callable[[Sequence[Job]], Exception | None] = lambda jobs: None) -> None:
        self.calls: list[list[str]] = []
        self.lines: list[str] = []
        self.fail = fail

    def __call__(self, jobs: Sequence[Job]) -> list[Outcome]:
        self.calls.append([job.name for job in jobs])
        error = self.fail(jobs)
        if error is not None:
            raise error
        return [complete(job) for job in jobs]

    def driver(self, policy: Policy | None = None) -> Driver:
        return Driver(self, policy or Policy(), say=self.lines.append)


def statuses(driver: Driver, jobs: Sequence[Job]) -> list[str]:
    return [driver.outcome(job).status for job in jobs]


def names(*numbers: int) -> list[str]:
    return [f"seed={i}" for i in numbers]


def guilty(number: int, error: Exception) -> Callable[[Sequence[Job]], Exception | None]:
    return lambda jobs: error if f"seed={number}" in [job.name for job in jobs] else None


def test_a_failing_group_falls_back_to_its_members_and_only_the_guilty_job_fails(tmp_path: Path) -> None:
    jobs, train = jobs_in(tmp_path, 4), Recorder(guilty(2, RuntimeError("broken")))
    driver = train.driver()
    driver.run([jobs])
    assert statuses(driver, jobs) == ["completed", "completed", "failed", "completed"]
    assert train.calls == [names(0, 1, 2, 3), *([each] for each in names(0, 1, 2, 3))]
    result = json.loads((jobs[2].directory / "result.json").read_text())
    assert result["status"] == "failed"
    assert result["reason"] == "RuntimeError: broken"
    assert any("FAILED" in line and "RuntimeError: broken" in line for line in train.lines)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to allocate"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_halves_the_group_and_loses_nothing(tmp_path: Path, error: Exception) -> None:
    assert out_of_memory(error)
    jobs, train = jobs_in(tmp_path, 8), Recorder(lambda jobs: error if len(jobs) > 2 else None)
    driver = train.driver()
    driver.run([jobs])
    assert statuses(driver, jobs) == ["completed"] * 8
    assert [len(call) for call in train.calls] == [8, 4, 2, 2, 4, 2, 2]


def test_stop_ends_the_study_at_the_first_failure(tmp_path: Path) -> None:
    jobs, train = jobs_in(tmp_path, 3), Recorder(guilty(1, RuntimeError("broken")))
    driver = train.driver(Policy("stop"))
    driver.run([[job] for job in jobs])
    assert statuses(driver, jobs) == ["completed", "failed", "pending"]
    assert condition(jobs[2]) == "new"


@pytest.mark.parametrize(("failures", "status"), [(0, "completed"), (2, "completed"), (3, "failed")])
def test_retry_tries_again_as_often_as_it_says(tmp_path: Path, failures: int, status: str) -> None:
    [job] = jobs_in(tmp_path, 1)
    train = Recorder(lambda jobs: RuntimeError("broken") if len(train.calls) <= failures else None)
    driver = train.driver(Policy("retry", 2))
    driver.run([[job]])
    assert statuses(driver, [job]) == [status]
    assert len(train.calls) == min(failures, 2) + 1


def test_a_users_mistake_is_not_tried_again(tmp_path: Path) -> None:
    [job], train = jobs_in(tmp_path, 1), Recorder(lambda jobs: UserError("the file is missing"))
    driver = train.driver(Policy("retry", 5))
    driver.run([[job]])
    assert len(train.calls) == 1
    assert driver.outcome(job).result["reason"] == "the file is missing"


def test_what_has_finished_is_skipped_and_what_failed_is_run_again(tmp_path: Path) -> None:
    jobs, train = jobs_in(tmp_path, 4), Recorder()
    for job, status in zip(jobs, ("completed", "diverged", "failed"), strict=False):
        complete(job, status)
    driver = train.driver()
    driver.run([jobs])
    assert train.calls == [names(2, 3)]
    assert statuses(driver, jobs) == ["completed", "diverged", "completed", "completed"]
    assert [driver.outcome(job).skipped for job in jobs] == [True, True, False, False]


def test_a_job_in_other_hands_is_left_to_them_and_its_result_is_taken(tmp_path: Path) -> None:
    jobs, train = jobs_in(tmp_path, 2), Recorder()
    make_folder(jobs[0].directory)
    other = try_claim(jobs[0].directory)
    assert other is not None
    train.fail = lambda _: [complete(jobs[0]), other.close(), None][-1]  # the other one finishes meanwhile
    driver = train.driver()
    driver.run([[job] for job in jobs])
    assert train.calls == [names(1)]
    assert driver.outcome(jobs[0]).skipped
    assert statuses(driver, jobs) == ["completed", "completed"]


def test_what_another_process_left_unfinished_is_trained_here(tmp_path: Path) -> None:
    jobs, train = jobs_in(tmp_path, 2), Recorder()
    make_folder(jobs[0].directory)
    other = try_claim(jobs[0].directory)
    assert other is not None
    train.fail = lambda _: other.close()
    driver = train.driver()
    driver.run([jobs])
    assert train.calls == [names(1), names(0)]
    assert any("waiting for 1 job" in line for line in train.lines)


def test_claims_exclude_each_other_and_end_with_their_holder(tmp_path: Path) -> None:
    with claimed(tmp_path):
        assert try_claim(tmp_path) is None
        with pytest.raises(UserError, match="is in use"), claimed(tmp_path):
            pass
    again = try_claim(tmp_path)
    assert again is not None
    again.close()


def test_an_interruption_ends_the_study_and_the_rest_is_pending(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, 2)
    driver = Driver(lambda part: [Outcome({**PENDING, "status": "interrupted"}, [2])], Policy(), say=lambda line: None)
    driver.run([[job] for job in jobs])
    assert statuses(driver, jobs) == ["interrupted", "pending"]


@pytest.mark.parametrize(
    ("choice", "sentence"), [(("explode", 1), "sweep.on_failure"), (("retry", 0), "sweep.retries")]
)
def test_a_policy_that_does_not_exist_is_refused(choice: tuple[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Policy(*choice)


def cost(parameters: int = 1000, size: int = 10**6, device: torch.device = CPU) -> Cost:
    return Cost(parameters=parameters, batch_size=32, bytes=size, data_bytes=0, shared_bytes=0, device=device)


def test_jobs_with_equal_keys_are_one_group_and_chunks_fit_into_the_memory(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, 10, "a") + jobs_in(tmp_path, 3, "b") + jobs_in(tmp_path, 2, None)
    assert [len(group) for group in by_key(jobs)] == [10, 3, 2]
    group = plan(jobs[:10], cost(), memory=0.004)
    assert [len(chunk) for chunk in group.chunks] == [3, 4, 3]
    assert group.jobs == jobs[:10]
    assert not plan(jobs[:10], cost(size=10**12), memory=0.004).together
    assert len(plan(jobs[:10], cost()).chunks) == 1


def of_seeds(folder: Path, seeds: int, each: int) -> list[Job]:
    jobs = jobs_in(folder, seeds * each)
    for position, job in enumerate(jobs):
        job.data = f"seed {position // each}"
    return jobs


PARTS = [
    *[(4, 5, 100, [20]), (4, 5, 12, [10, 10]), (4, 5, 6, [5, 5, 5, 5])],
    *[(2, 6, 6, [3, 3, 3, 3]), (1, 9, 6, [4, 5]), (7, 1, 6, [2, 3, 2]), (2, 7, 6, [4, 3, 4, 3]), (3, 2, 0, [1] * 6)],
]


@pytest.mark.parametrize(("seeds", "each", "room", "sizes"), PARTS)
def test_jobs_of_one_seed_stay_together_where_parts_have_to_fit(
    tmp_path: Path, seeds: int, each: int, room: int, sizes: list[int]
) -> None:
    jobs = of_seeds(tmp_path, seeds, each)
    one = dataclasses.replace(cost(), bytes=10**6, data_bytes=10**6, shared_bytes=0)
    chunks = parted(jobs, one, room * 1e6)
    assert [len(chunk) for chunk in chunks] == sizes
    assert [job for chunk in chunks for job in chunk] == jobs


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 40))
def test_no_part_needs_more_than_there_is_unless_it_is_one_job(seeds: int, each: int, room: int) -> None:
    jobs = of_seeds(Path("nowhere"), seeds, each)
    one = dataclasses.replace(cost(), bytes=2, data_bytes=3, shared_bytes=1)
    chunks = parted(jobs, one, room)
    assert [job for chunk in chunks for job in chunk] == jobs
    for chunk in chunks:
        assert len(chunk) == 1 or 1 + 2 * len(chunk) + 3 * len({job.data for job in chunk}) <= room


def test_large_layers_are_not_stacked_on_a_cpu_unless_asked(tmp_path: Path) -> None:
    jobs, large = jobs_in(tmp_path, 4), cost(parameters=10**6)
    assert plan(jobs, cost(), "auto", 1.0).together
    assert not plan(jobs, large, "auto", 1.0).together
    assert "gains nothing" in plan(jobs, large, "auto", 1.0).reason
    assert plan(jobs, large, "always", 1.0).together
    assert plan(jobs, cost(parameters=10**6, device=torch.device("cuda")), "auto", 1.0).together
    assert not plan(jobs, cost(), "never", 1.0).together
    assert not plan(jobs_in(tmp_path, 4, None), cost(), "always", 1.0).together


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))


def test_the_table_is_true_after_every_job_and_keeps_runs_of_earlier_grids(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, 3)
    earlier = Job(["seed=9", "optimizer=sgd"], {}, tmp_path / "optimizer=sgd,seed=9", "x")
    complete(earlier)
    summary, seen = Summary(tmp_path, jobs), []

    def train(part: Sequence[Job]) -> list[Outcome]:
        if (tmp_path / "summary.csv").exists():
            seen.append([row["status"] for row in rows(tmp_path) if row["run"] in names(0, 1, 2)])
        return [complete(job) for job in part]

    driver = Driver(train, Policy(), summary.add, lambda line: None)
    driver.run([[job] for job in jobs])
    summary.write()
    assert seen[0] == ["completed", "pending", "pending"]
    table = rows(tmp_path)
    assert sorted(row["run"] for row in table) == ["optimizer=sgd,seed=9", *names(0, 1, 2)]
    assert {row["status"] for row in table} == {"completed"}
    assert {row["accuracy/test"] for row in table} == {"0.5"}
    study = json.loads((tmp_path / "study.json").read_text())
    assert study["counts"] == {"completed": 4}
    assert study["axes"]["seed"] == ["0", "1", "2", "9"]


def test_whoever_writes_the_table_last_has_seen_the_runs_of_all(tmp_path: Path) -> None:
    first, second = jobs_in(tmp_path, 2)
    early, late = Summary(tmp_path, [first]), Summary(tmp_path, [second])
    for summary, job in ((late, second), (early, first)):
        summary.add({job: complete(job)})
        summary.write()
    assert [(row["run"], row["status"]) for row in rows(tmp_path)] == [(name, "completed") for name in names(0, 1)]
