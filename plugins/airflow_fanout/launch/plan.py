"""From a frozen list, a request and settings to the engine's job.

What can be known to be wrong is found here, before a request is sent.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_fanout.api.compiled import Compiled
from airflow_fanout.api.compiled_batch import CompiledBatch
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.poll import JOB, job_problem
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.calling import check_call
from airflow_fanout.launch.cores import usable_cores, useful_processes
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.limits import check_files
from airflow_fanout.launch.loaded_code import LoadedCode
from airflow_fanout.launch.shipping import pack
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest, read_parameters
from airflow_fanout.staging.validated import read_validated


class Shard(msgspec.Struct, frozen=True):
    """The part of a frozen list that one task fetches.

    :param indexes: those of its parameters in the list.
    """

    directory: ListDirectory
    manifest: Manifest
    shard: int
    indexes: range

    @classmethod
    def of(cls, directory: ListDirectory, manifest: Manifest, shard: Mapping[str, Any] | None) -> Shard:
        """Return the part that is a shard, or all of a list that isn't cut into shards.

        :param shard: one element of extract's output: its `shard`, `start` and `stop`.
        :raises BadSetting: if the list is cut, and no shard is given.
        """
        if shard is not None:
            return cls(directory, manifest, shard["shard"], range(shard["start"], shard["stop"]))
        if manifest.shards != 1:
            raise BadSetting(
                "parameters", f"{manifest.shards} shards", "fetch mapped over them: expand(shard=extract.output)"
            )
        return cls(directory, manifest, 0, range(manifest.count))

    def generation(self, *, refetch: bool) -> int:
        """Return the generation to write: the newest, or a new one after it.

        A new one begins if the newest has passed validation, or if it is complete and the run fetches again.
        """
        shard = self.directory.shard(self.shard)
        newest = shard.newest()
        judged = read_validated(self.directory, self.manifest.id)
        # Of results that were passed in part, the rest is asked for, as after a validation that wasn't passed.
        passed = judged.generations.get(str(self.shard), 0) if judged and not judged.left_out else 0
        begins = passed == newest or (refetch and shard.generation(newest).is_complete)
        return newest + 1 if begins else newest


def plan(
    part: Shard,
    request: Request | Callable[..., Any],
    *,
    endpoint: Endpoint,
    settings: FetchSettings,
    code: LoadedCode,
    refetch: bool,
    previous: ListDirectory | None = None,
    hidden: tuple[str, ...] = (),
) -> Job:
    """Return the engine's job, checked.

    :param request: a declarative request, or a function `fetch(session, …parameter…)`.
    :param settings: how to fetch; without `processes`, as many as are useful.
    :param code: what the function was loaded with.
    :param refetch: whether a generation that is complete is requested again.
    :param previous: the list of the report's last good run, for a conditional request.
    :param hidden: the secrets among the values in it.
    :raises TooFewFiles: if the limit on open files is too low for the concurrency.
    :raises BadTemplate: if a text of the request can't be read.
    :raises BadSetting: if `{job}` of a poll could be a field of the parameters, too.
    :raises UnknownField: if the request uses a field that the parameters don't have.
    :raises FunctionNotSent: if the function can't be sent to the engine's process.
    :raises FunctionMisfits: if the function can't be called with the first parameter.
    """
    useful = useful_processes(
        concurrency=settings.concurrency,
        declarative=isinstance(request, Request) and settings.transport != "requests",
        parameters=len(part.indexes),
        cores=usable_cores(),
    )
    settings = replace(settings, processes=settings.processes or useful)
    share = settings.share(0, settings.processes or 1)
    check_files(share.concurrency, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    packed = None
    if not isinstance(request, Request):
        packed = pack(request)
        for _, first in islice(read_parameters(part.directory, part.indexes), 1):
            check_call(request, first)
    elif part.manifest.count:
        # An empty list has no fields, and nothing will be sent.
        _check_fields(request, part.manifest.fields)
    functions = request.functions() if isinstance(request, Request) else {}
    return Job(
        directory=str(part.directory),
        start=part.indexes.start,
        stop=part.indexes.stop,
        shard=part.shard,
        generation=part.generation(refetch=refetch),
        endpoint=endpoint,
        request=request.without_functions() if isinstance(request, Request) else None,
        function=packed,
        request_functions={name: pack(function) for name, function in functions.items()},
        hidden=hidden,
        settings=settings,
        path=code.path,
        digests=code.digests,
        previous=None if previous is None else str(previous),
    )


def _check_fields(request: Request, known: tuple[str, ...]) -> None:
    """Raise what is wrong with the texts of a request for parameters with these fields."""
    (Compiled if request.batch is None else CompiledBatch)(request, known)
    for _, text in request.poll.texts if request.poll is not None else ():
        Compiled(Request(endpoint=text), (*known, JOB))
    if problem := job_problem(request.poll, known):
        raise problem
