"""The pump of a job and its transport: the one module of the engine's choice that loads libcurl."""

from __future__ import annotations

from typing import Any

from airflow_fanout.api.compiled import Compiled
from airflow_fanout.api.request import Request
from airflow_fanout.api.settled import settled
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.calling_pump import CallingPump
from airflow_fanout.engine.calls import Calls
from airflow_fanout.engine.pump import Pump
from airflow_fanout.engine.transport.by_curl import CurlTransport
from airflow_fanout.engine.transport.steps import Begin
from airflow_fanout.engine.transport.steps_by_curl import StepsByCurl
from airflow_fanout.launch.job import Job
from airflow_fanout.privacy.redaction import Secrets


def curl_transport(
    job: Job,
    request: Request,
    known: tuple[str, ...],
    begin: Begin | None,
    *,
    compiled: Compiled,
    secrets: Secrets,
    access: EngineAccess,
) -> CurlTransport:
    """Return what tells libcurl's handles the requests of a job, and reads their answers.

    :param known: the fields that every parameter has.
    :param begin: makes the steps of a task whose answers need a closer look; `None` if none does.
    :param compiled: the request, read once.
    """
    endpoint = settled(job.endpoint)
    if begin is not None:
        return StepsByCurl(endpoint, request, known, job.settings, secrets=secrets, access=access, begin=begin)
    return CurlTransport(endpoint, request, known, job.settings, secrets=secrets, compiled=compiled, access=access)


def pump_for(job: Job, calls: Calls, **parts: Any) -> Pump:
    """Return the pump that sends a job's requests: with functions of the author's in them, one that watches those.

    :param parts: what every pump is given.
    """
    return CallingPump(calls=calls, **parts) if job.has_functions else Pump(**parts)
