"""The preflight of a report, run by its extract: all that can be known to be wrong before the first request."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS

from airflow_fanout.adapters.border import is_yes, whole_number
from airflow_fanout.adapters.bound import resolved, waits_for_tasks
from airflow_fanout.adapters.connection import endpoint_of
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadConnection, FanoutError
from airflow_fanout.launch.shipping import pack
from airflow_fanout.model import parameter
from airflow_fanout.model.errors import BadParameter
from airflow_fanout.mongo.namespaces import name_problems
from airflow_fanout.operators.fetch import GeventFetchOperator
from airflow_fanout.operators.load import MongoLoadOperator
from airflow_fanout.operators.parsed import unknown_text
from airflow_fanout.operators.report import ReportTask, of_unknown_list, tasks_of
from airflow_fanout.operators.target import Names, check_target
from airflow_fanout.operators.validate import ValidateOperator
from airflow_fanout.preflight.fields import Expected
from airflow_fanout.preflight.findings import Findings
from airflow_fanout.preflight.order import order_problems
from airflow_fanout.preflight.templates import is_template, of_its_task, texts, unknown_names

if TYPE_CHECKING:
    from airflow.sdk import DAG, BaseOperator, Context

log = logging.getLogger(__name__)
_UNKNOWN = object()


@dataclass
class Preflight:
    """The checks of one report in one run."""

    extract: Any
    context: Context
    findings: Findings = field(default_factory=Findings)
    _expected: Expected = field(default_factory=Expected)

    def check(self) -> None:
        """Look at everything that doesn't need the list.

        :raises NotReady: with everything that is wrong.
        :raises NotReachable: when MongoDB didn't answer, and nothing else is wrong.
        """
        dag = self.context["dag"]
        found = {kind: list(tasks_of(self.extract, dag, kind)) for kind in KINDS}
        fetches, loads = found[GeventFetchOperator], found[MongoLoadOperator]
        self._check_order(dag, found)
        self._check_shards(fetches)
        for task in self._made(fetches):
            self._check_fetch(task)
        for task in self._made(loads):
            self._check_load(task)
        for text in self.findings.unchecked:
            log.info("Not checked before the first request: %s", text)
        self.findings.judge()

    def watched(self, raw: Iterable[Any]) -> Iterator[Any]:
        """Yield the items of a source; the first one is looked at before the source is asked for more.

        :raises NotReady: when it lacks what the report's tasks expect of it.
        """
        for index, item in enumerate(raw):
            if not index:
                self._check_first(item)
            yield item

    def _check_first(self, item: Any) -> None:
        try:
            first = parameter.normalise(item, index=0, names=self.extract.names)
        except BadParameter:
            # Whoever freezes it says so.
            return
        for task_id, problem in self._expected.problems(first):
            self.findings.add(task_id, [problem])
        self.findings.judge()

    def _made(self, tasks: Iterable[ReportTask]) -> Iterator[ReportTask]:
        for task in tasks:
            if task.problem:
                self.findings.add(task.task_id, [task.problem])
            elif task.operator is None:
                self.findings.skip(task.task_id, f"it is mapped over {', '.join(task.mapped_over)}")
            else:
                yield task

    def _check_order(self, dag: DAG, found: dict[type[BaseOperator], list[ReportTask]]) -> None:
        if unknown := [task for kind in KINDS for task in of_unknown_list(dag, kind)]:
            for task_id in unknown:
                self.findings.skip(task_id, "a template names its list")
            return
        ids = {kind: [task.task_id for task in tasks] for kind, tasks in found.items()}
        problems = order_problems(
            {task.task_id: task.downstream_task_ids for task in dag.tasks},
            fetches=ids[GeventFetchOperator],
            validates=ids[ValidateOperator],
            loads=ids[MongoLoadOperator],
        )
        for task_id, problem in problems.items():
            self.findings.add(task_id, [problem])

    def _check_shards(self, fetches: Iterable[ReportTask]) -> None:
        most = conf.getint("core", "max_map_length", fallback=1024)
        if (self.extract.shards or 1) > most and any(task.is_mapped for task in fetches):
            self.findings.add(
                self.extract.task_id,
                [f"shards is {self.extract.shards:,}, and Airflow maps a task over {most:,} ([core] max_map_length)"],
            )

    def _check_fetch(self, task: ReportTask) -> None:
        fetch, task_id = task.operator, task.task_id
        self._check_api(task)
        for name, read in (("concurrency", whole_number), ("refetch", is_yes)):
            if (value := self._rendered(task_id, name, getattr(fetch, name))) is not _UNKNOWN:
                self._attempt(task_id, read, name, value)
        if fetch.function is not None:
            self._check_function(task_id, fetch.function)
        elif (request := self._rendered(task_id, "request", fetch.request_template)) is not _UNKNOWN:
            made = self._attempt(task_id, lambda: Request(**request))
            if made is not None:
                self._expect(requests=(*self._expected.requests, (task_id, made)))

    def _check_function(self, task_id: str, function: Any) -> None:
        self._expect(functions=(*self._expected.functions, (task_id, function)))
        if waits_for_tasks(function):
            self.findings.skip(task_id, "whether its function can be sent to the engine: it holds another task's XCom")
        else:
            self._attempt(task_id, lambda: pack(resolved(function, self.context)))

    def _check_api(self, task: ReportTask) -> None:
        conn_id = task.operator.http_conn_id
        if task.elsewhere:
            self.findings.skip(task.task_id, f"the connection {conn_id!r}: {task.elsewhere}")
        else:
            endpoint = self._attempt(task.task_id, endpoint_of, conn_id)
            self.findings.add(task.task_id, missing_files(conn_id, endpoint) if endpoint else ())

    def _check_load(self, task: ReportTask) -> None:
        load, task_id = task.operator, task.task_id
        if load.document is None:
            self._expect(keys=(*self._expected.keys, (task_id, load.key, load.as_of_field)))
        names = [self._rendered(task_id, name, getattr(load, name)) for name in ("database", "collection")]
        known = _UNKNOWN not in names
        problems = name_problems(*names) if known else []
        self.findings.add(task_id, problems)
        if task.elsewhere:
            self.findings.skip(task_id, f"the connection {load.mongo_conn_id!r} and its MongoDB: {task.elsewhere}")
            return
        target = Names(database=names[0], collection=names[1]) if known and not problems else None
        check_target(task_id, load, target, self.findings)

    def _rendered(self, task_id: str, name: str, value: Any) -> Any:
        """Return an argument of another task with its templates rendered, as far as this task can."""
        if not any(is_template(text) for text in texts(value)) and not hasattr(value, "resolve"):
            return value
        if hasattr(value, "iter_references") and list(value.iter_references()):
            self.findings.skip(task_id, f"{name}: it is another task's XCom")
            return _UNKNOWN
        if theirs := of_its_task(value):
            self.findings.skip(task_id, f"{name}: its template uses {', '.join(theirs)}, which only {task_id} has")
            return _UNKNOWN
        dag = self.context["dag"]
        if unknown := unknown_names(value, {*KNOWN_CONTEXT_KEYS, *(dag.user_defined_macros or ()), *self.context}):
            self.findings.add(task_id, [unknown_text(name, one, self.extract.names) for one in unknown])
            return _UNKNOWN
        try:
            return self.extract.render_template(value, self.context)
        except Exception as error:  # noqa: BLE001 - a template may raise anything
            self.findings.add(task_id, [f"{name}: its template can't be rendered ({type(error).__name__}: {error})"])
            return _UNKNOWN

    def _attempt(self, task_id: str, step: Any, *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except FanoutError as error:
            self.findings.add(task_id, [str(error)])
            return None

    def _expect(self, **more: Any) -> None:
        parts = {name: getattr(self._expected, name) for name in ("requests", "functions", "keys")}
        self._expected = Expected(**{**parts, **more})


KINDS: tuple[type[BaseOperator], ...] = (GeventFetchOperator, ValidateOperator, MongoLoadOperator)


def missing_files(conn_id: str, endpoint: Endpoint) -> Iterator[str]:
    """Yield what is wrong with the files of a connection: each must be there, and be readable for the task's user."""
    certificates = (endpoint.cert,) if isinstance(endpoint.cert, str) else endpoint.cert or ()
    for option, path in (("verify", endpoint.verify), *(("cert", path) for path in certificates)):
        if isinstance(path, str) and not os.access(path, os.R_OK):
            named = f'names the file {path} in "{option}" of its extra'
            yield str(BadConnection(conn_id, f"{named}, and it isn't there or can't be read on this worker"))


def checked_report(extract: Any, context: Context) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Check the report of an extract, and return what looks at its list's first parameter as the list is read.

    :raises NotReady: with everything that is wrong.
    :raises NotReachable: when MongoDB didn't answer, and nothing else is wrong.
    """
    if not (extract.preflight and conf.getboolean("fanout", "preflight", fallback=True)):
        log.info("The preflight is switched off: nothing of this report is checked before its first request")
        return lambda raw: raw
    made = Preflight(extract, context)
    made.check()
    return made.watched
