"""Whether a request's `{name}` fields, and a load's key, are fields that the parameters have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from airflow_fanout.api.errors import BadTemplate, UnknownField
from airflow_fanout.api.poll import JOB, job_problem
from airflow_fanout.api.request import Request
from airflow_fanout.api.template import Template
from airflow_fanout.codec import Json
from airflow_fanout.errors import FanoutError
from airflow_fanout.model import parameter
from airflow_fanout.mongo.modes import DATE_FIELD
from airflow_fanout.preflight.templates import is_template, texts, without_templates

# Jinja would go on to the end of the text, and fail when the task runs.
_BEGUN = re.compile(r"\{\{|\{%|\{#")
_PARTS = ("endpoint", "query", "headers", "json", "form")


def written_problems(request: Request, known: Sequence[str]) -> list[FanoutError]:
    """Return what is wrong with a request as its author wrote it, Airflow's templates left out.

    :param known: the names of the parameters' fields; without any, the fields aren't looked at.
    """
    problems: list[FanoutError] = []
    for where, text in texts_of(request):
        if begun := _BEGUN.search(without_templates(text)):
            own = "For a brace of the text's own right before a field, write {{ '\\\\{' }}{name}"
            problems.append(BadTemplate(text, f"has {begun[0]}, with which a template of Airflow's begins. {own}"))
            continue
        try:
            fields = Template(without_templates(text)).fields
        except BadTemplate as error:
            # What stands inside of a template has braces of its own, and may be cut wrongly here.
            if not is_template(text):
                problems.append(error)
            continue
        if known:
            problems.extend(UnknownField(where, name, tuple(known)) for name in unknown_fields(where, fields, known))
    if problem := job_problem(request.poll, known):
        problems.append(problem)
    told_by = request.batch.fields if request.batch is not None and known else ()
    return problems + [UnknownField("batch", name, tuple(known)) for name in told_by if name not in known]


def texts_of(request: Request) -> Iterator[tuple[str, str]]:
    """Yield the texts of a request, each with the name of its part."""
    for part in _PARTS:
        for text in texts(getattr(request, part)):
            yield part, text
    yield from request.poll.texts if request.poll is not None else ()


def unknown_fields(where: str, used: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the fields that a text of a request uses and that the parameters don't have."""
    has = {*known, JOB} if where.startswith("Poll.") else known
    return [name for name in used if name not in has]


def unnamed(argument: str, names: Collection[str], first: Json, as_of_field: str | None = None) -> list[str]:
    """Return what is wrong with the fields that a load without a `document` function names.

    :param argument: where it names them: `key` or `types`.
    :param first: the first parameter of its list.
    """
    written = {*(first if isinstance(first, dict) else {"parameter": first}), "result", as_of_field or DATE_FIELD}
    # What the document lacks of the key, load takes from the parameter.
    known = {*written, *parameter.fields(first)} if argument == "key" else written
    has = f"without a `document` function a document has: {', '.join(sorted(written))}"
    return [f"{argument} has {name!r}, but {has}" for name in names if name not in known]
