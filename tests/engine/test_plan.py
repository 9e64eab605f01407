from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_fanout.api.errors import UnknownField
from airflow_fanout.api.poll import Poll
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.errors import TooFewFiles
from airflow_fanout.launch.function_errors import FunctionMisfits
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.loaded_code import LoadedCode
from airflow_fanout.launch.needed import least_requests
from airflow_fanout.launch.plan import Shard, plan
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.live import ProgressSnapshot
from tests.engine.harness import NOWHERE, frozen

CALLS = Request(endpoint="/calls/{tel}")


def calls(session: Any, tel: str) -> Any:
    """Return a subscriber's calls."""
    return session.get(f"/calls/{tel}").json()


def by_phone(session: Any, phone: str) -> Any:
    """Return the calls of a subscriber whose field has another name."""
    return session.get(f"/calls/{phone}").json()


def whole(folder: Path, count: int = 3) -> Shard:
    """Return all of a list of so many parameters."""
    directory = frozen(folder, (f"1202555{index:04d}" for index in range(count)), ("tel",))
    return Shard.of(directory, read_manifest(directory), None)


def planned(part: Shard, request: Any = CALLS, *, refetch: bool = False, **settings: Any) -> Job:
    """Return the job for a part."""
    code = LoadedCode(path=("/code",), digests={"report": "ab"})
    return plan(part, request, endpoint=NOWHERE, settings=FetchSettings(**settings), code=code, refetch=refetch)


def test_a_declarative_request_travels_as_it_is(tmp_path: Path) -> None:
    """The job has the range, the first generation, and the paths of the code."""
    part = whole(tmp_path)
    job = planned(part)
    assert (job.request, job.function) == (CALLS, None)
    assert (job.directory, job.indexes, job.shard, job.generation) == (str(part.directory), range(3), 0, 1)
    assert (job.endpoint, job.path, job.digests) == (NOWHERE, ("/code",), {"report": "ab"})


def test_a_function_travels_packed(tmp_path: Path) -> None:
    """The job has its bytes instead of a request."""
    job = planned(whole(tmp_path), calls)
    assert job.request is None
    assert job.function


def test_a_shard_is_its_own_range(tmp_path: Path) -> None:
    """An element of extract's output names it; the list's other parameters aren't fetched."""
    part = whole(tmp_path)
    shard = Shard.of(part.directory, part.manifest, {"shard": 1, "start": 1, "stop": 3})
    job = planned(shard)
    assert (job.shard, job.indexes) == (1, range(1, 3))


def test_a_list_that_is_cut_needs_a_shard(tmp_path: Path) -> None:
    """One task must not fetch all shards into the journal of the first."""
    part = whole(tmp_path)
    with pytest.raises(BadSetting, match="2 shards"):
        Shard.of(part.directory, replace(part.manifest, shards=2), None)


def test_an_unknown_field_is_found_before_a_request_is_sent(tmp_path: Path) -> None:
    """An empty list has no fields, and nothing will be sent: it is no error there."""
    request = Request(endpoint="/calls/{phone}")
    with pytest.raises(UnknownField, match="phone"):
        planned(whole(tmp_path / "three"), request)
    assert planned(whole(tmp_path / "none", 0), request).indexes == range(0)


def test_a_job_is_no_field_of_the_parameters(tmp_path: Path) -> None:
    """In the texts of a poll, `{job}` is the job's id, and there are the fields of the parameters."""
    request = Request(endpoint="/jobs/{tel}", poll=Poll(endpoint="/jobs/{job}/{tel}"))
    assert planned(whole(tmp_path), request).request == request
    with pytest.raises(UnknownField, match="phone"):
        planned(whole(tmp_path), Request(endpoint="/jobs", poll=Poll(endpoint="/jobs/{job}/{phone}")))
    directory = frozen(tmp_path, ["a"], ("job",))
    jobs = Shard.of(directory, read_manifest(directory), None)
    with pytest.raises(BadSetting, match=r"Poll.endpoint is .*expected parameters without a field `job`"):
        planned(jobs, Request(endpoint="/jobs", poll=Poll(endpoint="/jobs/{job}")))


def test_a_function_must_fit_the_first_parameter(tmp_path: Path) -> None:
    """It gets the parameter's fields by their names."""
    with pytest.raises(FunctionMisfits):
        planned(whole(tmp_path), by_phone)


def test_the_limit_on_open_files_must_carry_the_concurrency(tmp_path: Path) -> None:
    """A number that no machine allows is refused."""
    with pytest.raises(TooFewFiles):
        planned(whole(tmp_path), concurrency=2**40, processes=1)


def test_a_number_of_processes_that_is_set_stays(tmp_path: Path) -> None:
    """Otherwise as many are taken as are useful: for three parameters one."""
    assert planned(whole(tmp_path / "set"), concurrency=8, processes=2).settings.processes == 2
    assert planned(whole(tmp_path / "free"), concurrency=8).settings.processes == 1


def test_results_that_are_complete_are_fetched_again_on_demand(tmp_path: Path) -> None:
    """A new generation begins; without `refetch` the old one goes on."""
    part = whole(tmp_path)
    part.directory.shard(0).generation(1).mark_complete({})
    assert planned(part).generation == 1
    assert planned(part, refetch=True).generation == 2


def test_a_fetch_needs_at_least_a_request_for_each_parameter(tmp_path: Path) -> None:
    """Or for each batch of them; what the generation's last try has fetched needs none."""
    part = whole(tmp_path, 25)
    job = planned(part)
    assert least_requests(job, part.directory) == 25
    ids = Request(endpoint="/calls", query={"tel": "{tel}"}, batch=10)
    assert least_requests(replace(job, request=ids), part.directory) == 3
    assert least_requests(planned(part, calls), part.directory) == 25
    part.directory.shard(0).generation(2).new_try()
    seen = ProgressSnapshot(at=datetime(2026, 11, 27, tzinfo=UTC), total=25, done=9, ok=7, rate_per_s=0.0)
    seen.write(part.directory.shard(0).progress)
    # Of another generation.
    assert least_requests(job, part.directory) == 25
    attempt = part.directory.shard(0).generation(1).new_try()
    # Nothing is there of it yet.
    assert least_requests(job, part.directory) == 25
    attempt.part(0).put_whole(b"")
    assert least_requests(job, part.directory) == 18
