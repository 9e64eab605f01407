"""A GraphQL query as a request: the document, its variables, and where the answer says that it has failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_fanout.api.request import Request
from airflow_fanout.api.result import Path, check_path, steps_of
from airflow_fanout.api.template import escaped
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting

# GraphQL, October 2021, 2.9.4: block strings and strings; 2.1.4: comments.
_STRING = re.compile(r'"""(?:\\"""|[^"]|"(?!""))*"""|"(?:\\.|[^"\\\n])*"')
_COMMENT = re.compile(r"#[^\n]*")
_FIELD = re.compile(r"\{(?:[^\W\d]\w*|[0-9]+)\}")
_JINJA = re.compile(r"\{\{|\{%")
# A variable's declaration (2.10): its name, its type, and whether it has a default.
_DECLARED = re.compile(r"\$(\w+)\s*:\s*([\w\[\]!]+)\s*(=?)")
_USED = re.compile(r"\$(\w+)")


def GraphQL(  # noqa: N802 - an author writes it where a `Request` stands, and reads it as a kind of one
    *,
    query: str,
    variables: Mapping[str, Json] | None = None,
    operation: str | None = None,
    endpoint: str = "/graphql",
    result: Path | None = None,
    **others: Any,
) -> Request:
    """Return the request of a GraphQL query: a POST whose answer has failed if it has `errors`, also beside `data`.

    :param query: the document, sent as it is: it has neither fields of the parameter nor templates of Airflow's.
    :param variables: the values of its variables; `{name}` is a field of the parameter and keeps its type.
    :param operation: the name of the operation, where the document has several.
    :param endpoint: the path below the connection's address.
    :param result: which part of the answer's `data` is the result; all of it if not given.
    :param others: any other field of `Request`, such as `retry_if`; `repeatable` is true unless it is a mutation.
    :raises BadSetting: for a document that isn't complete, and for variables that don't fit it.
    """
    for name in ("method", "json", "form", "failed_if"):
        if name in others:
            raise BadSetting(name, others[name], "a Request instead of GraphQL(…), which sets this field itself")
    code = _COMMENT.sub("", _STRING.sub('""', _checked_text(query)))
    _check_variables(code, variables or {})
    if "subscription" in (operations := _operations(code)):
        raise BadSetting("query", query, "queries and mutations: a subscription has no one answer")
    body = {"query": escaped(query), "variables": variables and dict(variables), "operationName": operation}
    if result:
        check_path("result", result)
    return Request(
        endpoint=endpoint,
        method="POST",
        json={name: value for name, value in body.items() if value is not None},
        result=("data", *steps_of(result)),
        failed_if="errors",
        # What its method says of a mutation holds, unless each has a key.
        **{"repeatable": None if "mutation" in operations else True, **others},
    )


def _checked_text(query: object) -> str:
    if not isinstance(query, str) or "{" not in query:
        raise BadSetting("query", query, "a GraphQL document, such as 'query ($id: ID!) { user(id: $id) { name } }'")
    if _JINJA.search(query):
        raise BadSetting(
            "query", query, 'a document without templates: pass the value as variables={"day": "{{ ds }}"}'
        )
    if any("{#" in text for text in _STRING.findall(query)):
        raise BadSetting(
            "query", query, "no text with {# in it, which Airflow takes for a comment: pass it as a variable"
        )
    if fields := [field for text in _STRING.findall(query) for field in _FIELD.findall(text)]:
        name = fields[0].strip("{}")
        instead = f'a variable for the field of the parameter: variables={{"{name}": "{fields[0]}"}}, and ${name} here'
        raise BadSetting("query", query, instead)
    return query


def _check_variables(code: str, variables: Mapping[str, Json]) -> None:
    """Raise `BadSetting` if a document and its variables don't fit; `code` is the document without texts."""
    if code.count("{") != code.count("}"):
        raise BadSetting("query", code, "as many closing braces as opening ones")
    used = set(_USED.findall(code))
    for name in variables:
        if name not in used:
            known = ", ".join(f"${each}" for each in sorted(used)) or "no variables"
            raise BadSetting("variables", name, f"variables of the document, which has {known}")
    for name, kind, default in _DECLARED.findall(code):
        if kind.endswith("!") and not default and name not in variables:
            raise BadSetting("variables", sorted(variables), f"a value for ${name}, which the document requires")


def _operations(code: str) -> set[str]:
    """Return the words outside of all braces, the kinds of the operations among them; `code` has no texts."""
    depth, words = 0, set[str]()
    for piece in re.split(r"([{}])", code):
        depth += {"{": 1, "}": -1}.get(piece, 0)
        if not depth:
            words.update(re.findall(r"\w+", piece))
    return words
