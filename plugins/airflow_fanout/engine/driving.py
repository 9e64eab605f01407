"""Which driver sends a job's requests, over which transport."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Unpack

import cloudpickle
from msgspec.structs import replace

from airflow_fanout.api.access import CredentialSource
from airflow_fanout.api.compiled import Compiled
from airflow_fanout.api.idempotency import compiled_of, keys_of
from airflow_fanout.api.permitted import Permits
from airflow_fanout.api.request import Request
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.api.signing import Signing
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.batch_steps import BatchedRequest
from airflow_fanout.engine.calls import Calls
from airflow_fanout.engine.conditional_steps import ConditionalRequest
from airflow_fanout.engine.driver import Driver, Parts
from airflow_fanout.engine.job_steps import PolledRequest
from airflow_fanout.engine.page_steps import PagedRequest
from airflow_fanout.engine.permits import RequestPermits
from airflow_fanout.engine.pool import Pool
from airflow_fanout.engine.settlement import Write
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.transport.by_function import FunctionTransport
from airflow_fanout.engine.transport.by_requests import RequestsTransport
from airflow_fanout.engine.transport.steps import Begin, StepsByRequests
from airflow_fanout.engine.work import Task
from airflow_fanout.launch.job import Job
from airflow_fanout.model.outcome import Outcome
from airflow_fanout.privacy.redaction import RecentSecrets, Secrets
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.jobs import JobJournal
from airflow_fanout.staging.previous import PreviousResults


def driver_for(
    job: Job,
    manifest: Manifest,
    note: Callable[[str], None],
    calls: Calls,
    access: EngineAccess,
    jobs: JobJournal | None = None,
    previous: PreviousResults | None = None,
    **parts: Unpack[Parts],
) -> Driver:
    """Return what sends the job's requests: libcurl if it is installed, else `requests` in a pool.

    :param manifest: what is known of the list: the fields that every parameter has, and its id.
    :param note: called with a sentence if libcurl isn't installed.
    :param calls: makes the calls of the author's functions.
    :param access: gives the credentials that are good.
    :param jobs: which jobs there are, for a request that creates some.
    :param previous: the results of the last good run, for a conditional request.
    """
    total_s = job.settings.timeouts.total_s
    secrets = RecentSecrets((), always=job.hidden)
    access.serve(lambda endpoint, _renewal: secrets.add(endpoint.secrets))
    parts["hide"] = secrets.hide
    if job.request is None:
        return _function_driver(job, note, calls, access, secrets, **parts)
    request = replace(job.request, **{name: cloudpickle.loads(each) for name, each in job.request_functions.items()})
    session, known = FanoutSession(job.endpoint, job.settings, access=access, signing=access.signing), manifest.fields
    compiled = compiled_of(request, known, keys_of(manifest.id, job.generation))
    begin, parts["write"] = _begin(request, job, compiled, known, jobs, previous, secrets, parts["write"])
    by_requests = (
        StepsByRequests(session, request, known, total_s, secrets, access, begin=begin)
        if begin
        else RequestsTransport(session, request, known, total_s, secrets, compiled, access)
    )

    def send(task: Task, _fetch: object) -> Outcome:
        if job.has_functions:
            return calls.make_within(task.index, partial(by_requests.send, task))
        return by_requests.send(task)

    if job.settings.transport == "requests":
        return Pool(transport=by_requests, make=send, **parts)
    try:
        from airflow_fanout.engine.pumping import curl_transport, pump_for
    except ImportError as error:
        if job.settings.transport == "curl":
            raise
        note(f"libcurl isn't available here, so requests are sent by the slower `requests` library: {error}")
        return Pool(transport=by_requests, make=send, **parts)
    by_curl = curl_transport(job, request, known, begin, compiled=compiled, secrets=secrets, access=access)
    return pump_for(job, calls, transport=by_curl, others=by_requests, note=note, **parts)


def _function_driver(
    job: Job,
    note: Callable[[str], None],
    calls: Calls,
    access: EngineAccess,
    secrets: Secrets,
    **parts: Unpack[Parts],
) -> Driver:
    """Return what calls the author's function, each request of which needs a permit."""
    permits = RequestPermits(parts["traffic"], parts["meter"], job.settings.retry)
    session = session_for(job, note, permits, access.without_waiting(), access.signing)
    function = cloudpickle.loads(job.function)
    transport = FunctionTransport(session, function, job.settings.timeouts.total_s, secrets)
    return Pool(transport=transport, make=calls.make, permits=permits, **parts)


def _begin(
    request: Request,
    job: Job,
    compiled: Compiled,
    known: tuple[str, ...],
    jobs: JobJournal | None,
    previous: PreviousResults | None,
    secrets: Secrets,
    write: Write,
) -> tuple[Begin | None, Write]:
    """Return what makes the steps of a task, `None` if its request needs no closer look; and what writes its record."""
    most = job.settings.max_body_bytes
    if request.batch is not None:
        return BatchedRequest(request, job.endpoint, compiled, most, secrets).begin, write
    if request.pages is not None:
        return PagedRequest(request, job.endpoint, compiled, most, secrets).begin, write
    if jobs is not None:
        reader = reader_of(request, most, secrets)
        return PolledRequest(request, job.endpoint, compiled, known, jobs, reader).begin, write
    if previous is not None:
        reader = reader_of(request, most, secrets)
        conditional = ConditionalRequest(request, job.endpoint, compiled, reader, previous)
        return conditional.begin, conditional.noting(write)
    return None, write


def session_for(
    job: Job,
    note: Callable[[str], None],
    permits: Permits | None = None,
    access: CredentialSource | None = None,
    signing: Signing | None = None,
) -> FanoutSession:
    """Return the session for a function: it sends by libcurl if that is installed and not switched off.

    :param note: called with a sentence if libcurl isn't installed.
    :param permits: what each of its requests needs a permit of.
    :param access: gives the credentials of each of its requests.
    :param signing: signs each of its requests, if anything does.
    """
    if job.settings.transport == "requests":
        return FanoutSession(job.endpoint, job.settings, permits, access, signing)
    try:
        from airflow_fanout.engine.function_session.session import CurlSession
    except ImportError as error:
        if job.settings.transport == "curl":
            raise
        note(f"libcurl isn't available here, so the session sends by the slower `requests` library: {error}")
        return FanoutSession(job.endpoint, job.settings, permits, access, signing)
    return CurlSession(job.endpoint, job.settings, note, permits, access, signing)
