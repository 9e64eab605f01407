from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.api.request import Request
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.errors import EngineDied, EngineStopped, NotStarted, Tripped
from airflow_fanout.launch.messages import DamagedPart, Ended, Failed, ProgressReport
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Breaker, FetchSettings, Throttle
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.journal import read_records
from harness.numbers import numbers
from harness.service import DemoService
from tests.engine.harness import ONCE, frozen, job, journal, settings
from tests.staging.places import path_of

if TYPE_CHECKING:
    from airflow_fanout.launch.job import Job
    from airflow_fanout.model.progress import Progress

CALLS = Request(endpoint="/calls/{tel}", query={"day": "2026-11-22"}, result="calls")


@pytest.fixture
def service() -> Iterator[DemoService]:
    """A service of the test's own, whose counts begin at nothing."""
    with DemoService.start(subscribers=600) as running:
        yield running


def fetched(todo: Job) -> Progress:
    """Run a job to its end by as many engines as it says; raise what it ends with."""
    with Engines(todo) as fleet:
        ends = [said for said in fleet.listen() if isinstance(said, Ended | Failed)]
        return progress_at_end(ends[-1] if ends else None, fleet)


def calls(tmp_path: Path, service: DemoService, count: int, how: FetchSettings) -> Job:
    """Return the job of fetching the calls of so many subscribers."""
    return job(frozen(tmp_path, islice(numbers(600), count), ("tel",)), CALLS, service.url, how)


def asked(service: DemoService) -> Counter[str]:
    """Return how often each subscriber was asked for."""
    return Counter(service.asked())


def index(done: Any) -> list[int]:
    """Return the indexes of records, in order."""
    return sorted(record.index for record in done)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_each_parameter_is_fetched_by_one_of_them(tmp_path: Path, service: DemoService, processes: int) -> None:
    """Whatever the number of engines, all is asked for once and recorded once, and the counts add up to the whole."""
    todo = calls(tmp_path, service, 100, settings(12, processes=processes))
    progress = fetched(todo)
    assert (progress.total, progress.done, progress.requests, progress.latency.total) == (100, 100, 100, 100)
    assert progress.kinds == {Kind.OK: 100}
    assert index(read_records(journal(list_at(todo.directory)))) == list(range(100))
    assert set(asked(service).values()) == {1}


def test_limits_add_up(tmp_path: Path, service: DemoService) -> None:
    """Two engines open no more connections than one, and the limits that are told are those of both together."""
    service.set_faults(latency_ms=100)
    todo = calls(tmp_path, service, 200, settings(10, processes=2, throttle=Throttle(adaptive=False)))
    with Engines(todo) as fleet:
        final = list(fleet.listen())[-1]
    assert service.stats()["connections"] <= 10
    moments = final.progress.limits["over_time"]
    assert all(moment["limit"] == 10 for moment in moments)


def test_the_rate_is_that_of_all(tmp_path: Path, service: DemoService) -> None:
    """A rate of the author's is the whole fetch's, not each engine's."""
    how = settings(10, processes=2, throttle=Throttle(adaptive=False, rate_per_s=50.0))
    progress = fetched(calls(tmp_path, service, 60, how))
    assert progress.requests / progress.seconds <= 56


def even_only(_session: object, number: int) -> int:
    """Fail for odd numbers."""
    if number % 2:
        raise ValueError(number)
    return number


def crash_once(_session: object, number: int) -> int:
    """Crash at one of the odd numbers."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number


@pytest.mark.parametrize("again", [lambda _session, number: number, crash_once], ids=["unharmed", "restarted"])
def test_the_rate_of_an_engine_that_has_ended_is_that_of_the_others(tmp_path: Path, again: Callable[..., int]) -> None:
    """One of two engines has nothing to do: the other one sends at the whole rate, also after it is restarted."""
    directory = frozen(tmp_path, range(120))
    fetched(job(directory, even_only, how=settings(10, processes=2)))
    how = settings(10, processes=2, throttle=Throttle(adaptive=False, rate_per_s=20.0))
    with Engines(job(directory, again, how=how)) as fleet:
        final = list(fleet.listen())[-1]
    assert isinstance(final, Ended)
    assert (final.progress.done, final.progress.resumed) == (120, 60)
    # 60 requests at 20 per second. A busy machine takes longer, so that it isn't 10 is told by the rate.
    assert final.progress.seconds > 2.5
    assert {moment["rate_limit_per_s"] for moment in final.progress.limits["over_time"][1:]} == {20.0}


def test_the_canary_is_that_of_all(tmp_path: Path) -> None:
    """Wrong credentials cost the canary's requests, no more, also when one engine has begun before the other."""
    how = FetchSettings(concurrency=10, processes=2, retry=ONCE, breaker=Breaker(canary=20, startup_attempts=0))
    with DemoService.start(subscribers=200, token="right") as service:
        with pytest.raises(
            Tripped, match=r"all \d+ failed, with HTTP 401\. The other \d+ were not requested"
        ) as caught:
            fetched(calls(tmp_path, service, 200, how))
        by_status = service.stats()["by_status"]
        assert by_status.keys() == {"401"}
        # Each engine has half of the canary; the other one may be in the midst of its half when the first is stopped.
        assert 10 <= by_status["401"] <= 20
        assert 10 <= caught.value.begun <= 20
        assert caught.value.total == 200


def test_refused_credentials_cost_three_requests_of_each(tmp_path: Path) -> None:
    """From the start: no engine goes on to the canary, no parameter has a record, and the connection is named."""
    how = FetchSettings(concurrency=10, processes=2)
    with DemoService.start(subscribers=200, token="right") as service:
        with pytest.raises(NotStarted, match=r"refused the credentials of the connection \(HTTP 401") as caught:
            fetched(todo := calls(tmp_path, service, 200, how))
        assert service.stats()["by_status"].keys() == {"401"}
        assert service.stats()["by_status"]["401"] <= 2 * 3
    assert not caught.value.retry
    assert list(read_records(journal(list_at(todo.directory)))) == []


def test_one_that_is_killed_ends_all(tmp_path: Path, service: DemoService) -> None:
    """When an engine dies the others stop in good order; the next try asks for nothing that is in the journal."""
    service.set_faults(latency_ms=30)
    todo = calls(tmp_path, service, 600, settings(6, processes=2))
    with Engines(todo) as fleet:
        heard = fleet.listen()
        next(said for said in heard if isinstance(said, ProgressReport))
        os.kill(fleet.pids[1], signal.SIGKILL)
        assert {type(said) for said in heard} <= {ProgressReport}
        with pytest.raises(EngineDied, match="SIGKILL"):
            progress_at_end(None, fleet)
    durable = {record.index for record in read_records(journal(list_at(todo.directory)))}
    assert 0 < len(durable) < 600
    before = asked(service)
    service.set_faults(latency_ms=0)
    assert fetched(todo).resumed == len(durable)
    again = asked(service) - before
    assert len(again) == 600 - len(durable)
    assert index(read_records(journal(list_at(todo.directory)))) == list(range(600))


def test_all_stop_when_asked(tmp_path: Path, service: DemoService) -> None:
    """A stop reaches every engine at once, and each closes its part in good order."""
    # To the end it would take a minute.
    service.set_faults(latency_ms=500)
    todo = calls(tmp_path, service, 500, settings(4, processes=2))
    with Engines(todo) as fleet:
        heard = fleet.listen()
        next(said for said in heard if isinstance(said, ProgressReport))
        fleet.ask_to_stop()
        final = list(heard)[-1]
        assert isinstance(final, Ended)
        assert final.progress.done < 250
        with pytest.raises(EngineStopped):
            progress_at_end(final, fleet)
    assert not any(Path(f"/proc/{pid}").exists() for pid in fleet.pids)


def test_one_that_is_still_starting_stops_as_well(tmp_path: Path, service: DemoService) -> None:
    """Asked to stop before it has begun, a fetch ends as one that was stopped, not as one that has died."""
    with Engines(calls(tmp_path, service, 20, settings(4, processes=2))) as fleet:
        fleet.ask_to_stop()
        final = list(fleet.listen())[-1]
        with pytest.raises(EngineStopped, match="0 of 20"):
            progress_at_end(final, fleet)


def test_a_damaged_part_is_told_once(tmp_path: Path, service: DemoService) -> None:
    """Each engine reads all of an older try; the one that finds the damage first puts the part aside for all."""
    todo = calls(tmp_path, service, 60, settings(6, processes=2))
    fetched(todo)
    part = path_of(journal(list_at(todo.directory)).parts()[0])
    torn = bytearray(part.read_bytes())
    torn[len(torn) // 2] ^= 0xFF
    part.write_bytes(bytes(torn))
    with Engines(todo) as fleet:
        damaged = [said.path for said in fleet.listen() if isinstance(said, DamagedPart)]
    assert damaged == [str(part)]
    assert {record.index for record in read_records(journal(list_at(todo.directory)))} == set(range(60))


def test_more_processes_than_parameters_do_no_harm(tmp_path: Path, service: DemoService) -> None:
    """An engine without a parameter of its own ends at once."""
    assert fetched(calls(tmp_path, service, 2, settings(8, processes=4))).done == 2
