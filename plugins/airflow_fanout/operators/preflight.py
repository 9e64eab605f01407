"""The preflight of a report, run by its extract: all that can be known to be wrong before the first request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from airflow_fanout.adapters.border import staging_problem, staging_store
from airflow_fanout.adapters.bound import resolved, waits_for_tasks
from airflow_fanout.adapters.connection import endpoint_of
from airflow_fanout.adapters.login import check_signed
from airflow_fanout.adapters.rendering import UNKNOWN, Rendering
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.errors import TokenEndpointDown
from airflow_fanout.api.filled import filled
from airflow_fanout.api.request import Request
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.connections import names_connections, problem_of
from airflow_fanout.launch.shipping import pack
from airflow_fanout.model.functions import FunctionWithValues
from airflow_fanout.model.rendered import is_yes, whole_number
from airflow_fanout.mongo.namespaces import name_problems
from airflow_fanout.operators.report import Report, made
from airflow_fanout.operators.target import Names, check_target
from airflow_fanout.preflight.expected import Expected, watched
from airflow_fanout.preflight.files import missing_files
from airflow_fanout.preflight.findings import Findings
from airflow_fanout.sources.source import to_source

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_fanout.sources.source import SourceContext

log = logging.getLogger(__name__)
# For so long the preflight waits for a token endpoint that gives no token now.
TOKEN_S = 10.0


class Preflight:
    """The checks of one report in one run: `findings` has what is wrong, `expected` what a parameter must have."""

    def __init__(self, extract: Any, context: Context, access: SourceContext) -> None:
        self.findings = Findings()
        self.expected = Expected()
        self._logged_in: set[str] = set()
        self._extract = extract
        self._context = context
        self._access = access
        self._rendering = Rendering(extract, context, self.findings)

    def check(self) -> None:
        """Look at everything that doesn't need the list.

        :raises NotReady: with everything that is wrong.
        :raises NotReachable: when a server didn't answer, and nothing else is wrong.
        """
        report = Report(self._extract, self._context["dag"])
        report.check_order(self.findings)
        report.check_kept(self.findings)
        report.check_alerts(self.findings)
        self._check_staging()
        self._check_source()
        report.check_shards(conf.getint("core", "max_map_length", fallback=1024), self.findings)
        for task in made(report.fetches, self.findings):
            self._check_fetch(task.task_id, task.operator, task.elsewhere)
        for task in made(report.loads, self.findings):
            self._check_load(task.task_id, task.operator, task.elsewhere)
        for text in self.findings.unchecked:
            log.info("Not checked before the first request: %s", text)
        self.findings.judge()

    def _check_staging(self) -> None:
        """Reach the staging area, if it isn't a folder, as all tasks of the report do."""
        task_id = self._extract.task_id
        try:
            staging_store()
        except (FanoutError, OSError) as error:
            problem = error if isinstance(error, FanoutError) else staging_problem(error)
            if problem.retry:
                self.findings.unreachable.append(f"{task_id}: {problem}")
            else:
                self.findings.add(task_id, [str(problem)])

    def _check_source(self) -> None:
        task_id = self._extract.task_id
        try:
            to_source(self._extract.source).check(self._access, names=self._extract.names)
        except FanoutError as error:
            if error.retry:
                self.findings.unreachable.append(f"{task_id}: {error}")
            else:
                self.findings.add(task_id, [str(error)])
        if conn_id := getattr(self._extract.source, "http_conn_id", None):
            self._check_budget(task_id, conn_id)

    def _check_fetch(self, task_id: str, fetch: Any, elsewhere: str | None) -> None:
        if elsewhere:
            self.findings.skip(task_id, f"the connection {fetch.http_conn_id!r}: {elsewhere}")
        elif names_connections(fetch.http_conn_id):
            check = partial(self._check_named, task_id, fetch.sign)
            self.expected.connections.append((task_id, fetch.http_conn_id, check))
        elif endpoint := self._attempt(task_id, lambda: endpoint_of(fetch.http_conn_id)):
            self._check_login(task_id, fetch.http_conn_id, endpoint)
            self._check_budget(task_id, fetch.http_conn_id)
            self._attempt(task_id, lambda: check_signed(fetch.http_conn_id, endpoint, fetch.sign))
        self._check_rendered(task_id, "concurrency", fetch.concurrency, whole_number)
        self._check_rendered(task_id, "refetch", fetch.refetch, is_yes)
        # What they are rendered to is the fetch's alone: here it counts that they can be.
        self._rendering.value(task_id, "values", fetch.values)
        names = dict.fromkeys(fetch.values)
        self.expected.values.append((task_id, tuple(names)))
        if fetch.sign is not None:
            self._check_sent(task_id, "the function sign", fetch.sign)
        if fetch.function is not None:
            function = FunctionWithValues(fetch.function, names) if names else fetch.function
            self.expected.functions.append((task_id, function))
            self._check_sent(task_id, "its function", fetch.function)
            return
        for name, function in fetch.request_functions.items():
            self._check_sent(task_id, f"the function {name}", function)
        if request := self._check_rendered(
            task_id, "request", fetch.request_template, lambda _, fields: Request(**fields, **fetch.request_functions)
        ):
            self.expected.requests.append((task_id, filled(request, dict.fromkeys(names, "value"))))

    def _check_named(self, task_id: str, sign: object, conn_id: str, shown: str) -> None:
        """Check the connection that the first parameter names; the fetch checks those of all before it begins."""
        from airflow_fanout.adapters.budget import check_without_budget

        try:
            endpoint = endpoint_of(conn_id)
            check_signed(conn_id, endpoint, sign)
            check_without_budget(conn_id)
        except FanoutError as error:
            self.findings.add(task_id, [problem_of(error, conn_id, 0, shown)])
        else:
            self._check_login(task_id, conn_id, endpoint)

    def _check_sent(self, task_id: str, what: str, function: Any) -> None:
        if waits_for_tasks(function):
            self.findings.skip(task_id, f"whether {what} can be sent to the engine: it holds another task's XCom")
        else:
            self._attempt(task_id, lambda: pack(resolved(function, self._context)))

    def _check_login(self, task_id: str, conn_id: str, endpoint: Endpoint) -> None:
        missing = list(missing_files(conn_id, endpoint))
        self.findings.add(task_id, missing)
        if missing or endpoint.oauth2 is None or conn_id in self._logged_in:
            return
        self._logged_in.add(conn_id)
        # Only a connection with tokens needs what sends requests.
        from airflow_fanout.adapters.logging_in import login_of

        try:
            login_of(conn_id, note=log.info, limit_s=TOKEN_S).valid()
        except TokenEndpointDown as error:
            self.findings.unreachable.append(f"{task_id}: {error.cause.format_map(vars(error))}")
        except FanoutError as error:
            self.findings.add(task_id, [str(error)])

    def _check_budget(self, task_id: str, conn_id: str) -> None:
        from airflow_fanout.adapters.budget import check_budget

        try:
            check_budget(conn_id)
        except FanoutError as error:
            if error.retry:
                self.findings.unreachable.append(f"{task_id}: {error}")
            else:
                self.findings.add(task_id, [str(error)])

    def _check_rendered(self, task_id: str, name: str, value: Any, read: Callable[[str, Any], Any]) -> Any:
        rendered = self._rendering.value(task_id, name, value)
        return None if rendered is UNKNOWN else self._attempt(task_id, lambda: read(name, rendered))

    def _check_load(self, task_id: str, load: Any, elsewhere: str | None) -> None:
        if load.document is None:
            self.expected.keys.append((task_id, load.key, load.as_of_field))
            self.expected.types.append((task_id, tuple(path[0] for path in load.types)))
        database, collection = (
            self._rendering.value(task_id, name, getattr(load, name)) for name in ("database", "collection")
        )
        known = UNKNOWN not in (database, collection)
        problems = name_problems(database, collection) if known else []
        self.findings.add(task_id, problems)
        if elsewhere:
            self.findings.skip(task_id, f"the connection {load.mongo_conn_id!r} and its MongoDB: {elsewhere}")
            return
        target = Names(database=database, collection=collection) if known and not problems else None
        check_target(task_id, load, target, self.findings)

    def _attempt(self, task_id: str, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except FanoutError as error:
            self.findings.add(task_id, [str(error)])
            return None


def checked_report(extract: Any, context: Context, access: SourceContext) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Check the report of an extract, and return what looks at its list's first parameter as the list is read.

    :param access: what the report's source gets of the task.
    :raises NotReady: with everything that is wrong.
    :raises NotReachable: when a server didn't answer, and nothing else is wrong.
    """
    if not (extract.preflight and conf.getboolean("fanout", "preflight", fallback=True)):
        log.info("The preflight is switched off: nothing of this report is checked before its first request")
        return lambda raw: raw
    preflight = Preflight(extract, context, access)
    preflight.check()
    return lambda raw: watched(raw, preflight.expected, extract.names, preflight.findings)
