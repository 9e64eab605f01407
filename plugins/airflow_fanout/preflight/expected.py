"""What the tasks of a report expect of a parameter, and whether the first one has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from airflow_fanout.api.errors import BadTemplate, UnknownField
from airflow_fanout.api.poll import job_problem
from airflow_fanout.api.request import Request
from airflow_fanout.api.template import Template
from airflow_fanout.codec import Json
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.calling import check_call
from airflow_fanout.launch.connection_errors import UnusableName
from airflow_fanout.launch.connections import ConnectionName
from airflow_fanout.model import parameter
from airflow_fanout.model.errors import BadParameter
from airflow_fanout.preflight.fields import texts_of, unknown_fields, unnamed
from airflow_fanout.preflight.findings import Findings


class Expected(msgspec.Struct, kw_only=True):
    """What the tasks of a report expect of a parameter, by the ids of the tasks.

    `connections` has the texts that give a parameter's connection, each with what checks the connection, by its id and
    by the id as a message may show it.
    """

    connections: list[tuple[str, str, Callable[[str, str], None]]] = []
    requests: list[tuple[str, Request]] = []
    functions: list[tuple[str, Any]] = []
    keys: list[tuple[str, tuple[str, ...], str | None]] = []

    types: list[tuple[str, tuple[str, ...]]] = []
    values: list[tuple[str, tuple[str, ...]]] = []

    def problems(self, first: Json) -> list[tuple[str, str]]:
        """Return by task what a parameter doesn't have."""
        known = tuple(parameter.fields(first))
        problems = [(task, text) for task, request in self.requests for text in rendered_problems(request, known)]
        for task, text, check in self.connections:
            name = ConnectionName(text)
            try:
                check(name.of(first), name.shown(first))
            except ValueError as error:
                problems.append((task, str(UnusableName(text, 0, str(error)))))
        for task, names in self.values:
            problems.extend((task, f"values has {name!r}, and so has the parameter") for name in names if name in known)
        for task, function in self.functions:
            try:
                check_call(function, first)
            except FanoutError as error:
                problems.append((task, str(error)))
        for task, key, as_of_field in self.keys:
            problems.extend((task, text) for text in unnamed("key", key, first, as_of_field))
        for task, fields in self.types:
            problems.extend((task, text) for text in unnamed("types", fields, first))
        return problems


def rendered_problems(request: Request, known: Sequence[str]) -> list[str]:
    """Return what is wrong with a request whose templates are rendered, for parameters with these fields."""
    problems: list[str] = []
    for where, text in texts_of(request):
        try:
            fields = Template(text).fields
        except BadTemplate as error:
            problems.append(str(error))
            continue
        unknown = unknown_fields(where, fields, known)
        problems.extend(str(UnknownField(where, name, tuple(known))) for name in unknown)
    if problem := job_problem(request.poll, known):
        problems.append(str(problem))
    told_by = request.batch.fields if request.batch is not None else ()
    return problems + [str(UnknownField("batch", name, tuple(known))) for name in told_by if name not in known]


def watched(raw: Iterable[Any], expected: Expected, names: Sequence[str], findings: Findings) -> Iterator[Any]:
    """Yield the items of a source; the first one is looked at before the source is asked for more.

    :param names: the names that the items' values get.
    :raises NotReady: when it lacks what the report's tasks expect of it.
    """
    for index, item in enumerate(raw):
        if not index:
            _check_first(item, expected, names, findings)
        yield item


def _check_first(item: Any, expected: Expected, names: Sequence[str], findings: Findings) -> None:
    try:
        first = parameter.normalise(item, index=0, names=names)
    except BadParameter:
        # Whoever freezes it says so.
        return
    for task_id, problem in expected.problems(first):
        findings.add(task_id, [problem])
    findings.judge()
