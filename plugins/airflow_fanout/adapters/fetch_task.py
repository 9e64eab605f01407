"""Fetch as a task: the engines run, and its log, metrics and state store say how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.configuration import conf
from msgspec.structs import replace

from airflow_fanout.adapters.apis import NamedApis, OneApi, logins_of
from airflow_fanout.adapters.border import checked_list
from airflow_fanout.adapters.budget import budget_user
from airflow_fanout.adapters.deferral import hand_back
from airflow_fanout.adapters.fetch_metrics import FetchMeasures
from airflow_fanout.adapters.logging_in import OUTAGE_S
from airflow_fanout.adapters.metrics import Metrics, of_duration
from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.reporter import Reporter
from airflow_fanout.alerts.note import Counts
from airflow_fanout.api.errors import BadTemplate, UnknownField
from airflow_fanout.api.request import Request
from airflow_fanout.control.questions import first_delay_us
from airflow_fanout.launch.answer_cache import SETTING, AnswerCache
from airflow_fanout.launch.budget_user import BudgetUser
from airflow_fanout.launch.budget_view import BudgetView
from airflow_fanout.launch.connection_errors import BadConnections, ConnectionsGivenUp, TooManyConnections, UnusableName
from airflow_fanout.launch.errors import BudgetWait, EngineBlocked, NotStarted, Tripped
from airflow_fanout.launch.fetch import Fetch
from airflow_fanout.launch.function_errors import FunctionMisfits
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.loaded_code import LoadedCode
from airflow_fanout.launch.messages import FetchMessage
from airflow_fanout.launch.mirror import Mirror, mirrored
from airflow_fanout.launch.needed import least_requests
from airflow_fanout.launch.plan import Shard, plan
from airflow_fanout.launch.reserving import Reserver
from airflow_fanout.launch.shipping import pack
from airflow_fanout.model.as_of import HELD
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.staging.catch_up import catch_up_lists
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import verify_list
from airflow_fanout.staging.previous import last_good_list
from airflow_fanout.staging.reference import Reference

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_fanout.adapters.operator import EngineOperator

# What may be wrong with a few parameters of an earlier run alone.
IN_THE_WAY = (
    *(Tripped, NotStarted, EngineBlocked, UnknownField, BadTemplate, FunctionMisfits),
    *(BadConnections, TooManyConnections, UnusableName, ConnectionsGivenUp),
)


class FetchTask:
    """One run of a fetch, from the reference to its list to the summary."""

    def __init__(self, operator: EngineOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._part: Shard | None = None
        self._fetch: Fetch | None = None

    def part(self, reference: Reference | XComArg, shard: Mapping[str, Any] | None) -> Shard:
        """Return the part of the list that this task fetches; all of the list is read and verified."""
        self._part = Shard.of(*checked_list(reference), shard)
        return self._part

    def catch_up(
        self, part: Shard, request_of: Callable[[Context], Request | Callable[..., Any]], **way: Any
    ) -> list[dict[str, Any]]:
        """Ask first for what earlier runs have left out, each with its own date, and return the counts.

        Whatever is wrong with it, the run's own list is fetched all the same.

        :param part: the part of the run's own list; only the task of the first part does it.
        :param request_of: returns what is asked with, for a context that may have an earlier run's date.
        :param way: how it is asked, as for `fetch`.
        """
        log, summaries = self._operator.log, []
        for listed in catch_up_lists(part.directory, part.manifest) if part.shard == 0 else ():
            if listed.is_held_by(self._context["run_id"]) is None:
                continue
            verify_list(listed.directory, listed.manifest)
            context = cast("Context", {**self._context, HELD: listed.date})
            log.info("Asking again for %s", listed)
            try:
                of_list = Shard.of(listed.directory, listed.manifest, None)
                summary = self.fetch(of_list, request_of(context), refetch=False, **way)
            except IN_THE_WAY as error:
                log.warning("%s are left for the next run: %s", listed, error)
            else:
                counts = {name: summary[name] for name in ("parameters", "ok", "kinds")}
                summaries.append({"day": listed.manifest.day, **counts})
        self._fetch = None
        return summaries

    def fetch(
        self,
        part: Shard,
        request: Request | Callable[..., Any],
        *,
        http_conn_id: str,
        settings: FetchSettings,
        code: LoadedCode,
        refetch: bool,
        hidden: tuple[str, ...] = (),
        sign: Callable[..., Any] | None = None,
    ) -> dict[str, Any]:
        """Fetch the part, and return the summary; for a long wait, give the worker slot back until it is over."""
        log, metrics = self._operator.log, Metrics(self._operator)
        limit_s = settings.breaker.outage_s or OUTAGE_S
        apis = logins_of(http_conn_id, part, note=log.warning, limit_s=limit_s, sign=sign)
        is_conditional = isinstance(request, Request) and request.conditional and not refetch
        previous = last_good_list(part.directory) if is_conditional else None
        way: dict[str, Any] = {"endpoint": apis.endpoint, "settings": apis.settings(settings), "code": code}
        job = plan(part, request, refetch=refetch, previous=previous, hidden=hidden, **way)
        job = apis.connected(replace(job, sign=None if sign is None else pack(sign)))
        if is_conditional:
            log.info("Asking for what has changed since the last good run: %s", previous or "there is none")
        log.info("Fetching %s from %s", job, apis)
        try:
            with (
                self._cache(part, job, refetch=refetch) as cached,
                mirrored(part, job, log.warning) as mirror,
                self._user(apis, http_conn_id) as user,
            ):
                progress = self._run(part, job, apis, mirror, user, f"the connection {http_conn_id!r}")
        except BudgetWait as wait:
            # A mirror is gone by now.
            reporter, reached = self._reporter(part.directory, part.shard), self._fetch and self._fetch.progress
            hand_back(self._operator, wait, partial(reporter.defer, reached or Progress(total=0)))
        summary = {**progress.summary(), **cached}
        log.info("Fetched %s", summary)
        metrics.tell([of_duration("fetch", summary)])
        return summary

    def _run(
        self,
        part: Shard,
        job: Job,
        apis: OneApi | NamedApis,
        mirror: Mirror | None,
        user: BudgetUser | None,
        connection: str,
    ) -> Progress:
        """Run the engines, and tell log, metrics and state store how far they are.

        :param mirror: where the engines work, if not in the staging area itself.
        :param user: uses the request budget of the API, if it has one.
        """
        metrics, measures = Metrics(self._operator), FetchMeasures(job.shard)
        directory = part.directory if mirror is None else mirror.directory
        reporter = self._reporter(directory, part.shard)

        def hear(message: FetchMessage) -> None:
            metrics.tell(measures.of_message(message))
            reporter.hear(message)

        own_job, upload = (job, None) if mirror is None else (mirror.job, mirror.upload)
        reserver = None
        if user is not None:
            own_job = replace(own_job, budget=user.budget.name)
            view = BudgetView(user, least_requests(job, part.directory), self._operator.log.info)
            delay_us = first_delay_us(part.manifest.shards)
            reserver = Reserver(user, job.settings, self._operator.log.warning, view, delay_us=delay_us)
        self._fetch = Fetch(part, own_job, hear, apis.login, upload, reserver, apis.logins)
        progress = self._fetch.run(connection)
        if not job.indexes:
            # No engine has said so.
            reporter.end(progress)
        return progress

    def _user(self, apis: OneApi | NamedApis, conn_id: str) -> AbstractContextManager[BudgetUser | None]:
        """Give who uses the request budget of a fixed connection; of several, none has one."""
        if isinstance(apis, NamedApis):
            return nullcontext()
        return budget_user(conn_id, self._operator.dag_id, self._context)

    def _reporter(self, directory: ListDirectory, shard: int) -> Reporter:
        log = self._operator.log
        return Reporter(log, TaskState(self._context, log), directory.shard(shard).progress)

    @contextmanager
    def _cache(self, part: Shard, job: Job, *, refetch: bool) -> Iterator[dict[str, int]]:
        """Take results from the cache for development before a fetch, and give it the new ones after that.

        Without such a cache, nothing is done. Gives what the summary says of it.
        """
        if not (folder := conf.get("fanout", "answer_cache", fallback="")):
            yield {}
            return
        with closing(AnswerCache(folder)) as cache:
            restored = 0 if refetch else cache.restore(part, job)
            self._operator.log.warning(
                "%s of %s results are not requested: they come from the cache for development, %s (%s). Remove that "
                "setting where results must be those of the API.",
                f"{restored:,}",
                f"{len(part.indexes):,}",
                folder,
                SETTING,
            )
            yield {"from_cache": restored}
            cache.keep(part, job)

    def stop(self) -> None:
        """End the engines with the task."""
        if self._fetch is not None:
            self._fetch.stop()

    def counts(self) -> Counts | None:
        """Return what the fetch still lacks; `None` if no engine has told of its progress."""
        if self._part is None or self._fetch is None or self._fetch.progress is None:
            return None
        return Counts.of_progress(self._fetch.progress, self._part.manifest.remaining)
