from __future__ import annotations

from typing import Any

import msgspec
import pytest

from airflow_fanout.api.compiled import Compiled
from airflow_fanout.api.graphql import GraphQL
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import MIB

QUERY = """
query ($id: ID!, $first: Int = 10, $day: Date) {  # {what} we ask for
  user(id: $id) {# a comment right behind the brace
    name
    calls(first: $first, on: $day, kind: "{ all of them }") { tel }
  }
}
"""


def sent(query: str, **fields: Any) -> Any:
    """Return the body that is sent for one parameter."""
    request = GraphQL(query=query, **fields)
    body = Compiled(request, ("id",)).message({"id": 7}).body
    assert body is not None
    return msgspec.json.decode(body)


def test_a_query_is_sent_as_it_is_with_the_parameters_variables() -> None:
    """Its braces are its own, also in a comment; a variable keeps the type of the field."""
    body = sent(QUERY, variables={"id": "{id}", "day": "2026-11-22"})
    assert body == {
        "query": QUERY.replace("{#", "{ #"),
        "variables": {"id": 7, "day": "2026-11-22"},
    }
    assert sent("{me{name}}", operation=None) == {"query": "{me{name}}"}
    assert sent("query A {me{name}} query B {all{name}}", operation="B")["operationName"] == "B"


@pytest.mark.parametrize(
    ("body", "result", "kind", "value"),
    [
        (b'{"data": {"user": {"name": "Ada"}}}', "user.name", Kind.OK, "Ada"),
        (b'{"data": {"user": {"name": "Ada"}}}', None, Kind.OK, {"user": {"name": "Ada"}}),
        (b'{"data": {"a.b": 1}}', ("a.b",), Kind.OK, 1),
        (b'{"data": {"user": null}}', "user.name", Kind.NULL, None),
        (b'{"data": {"user": 1}, "errors": []}', "user", Kind.OK, 1),
        (b'{"data": {"user": 1}, "errors": [{"message": "partly"}]}', "user", Kind.API_ERROR, None),
        (b'{"errors": [{"message": "wrong"}]}', "user", Kind.API_ERROR, None),
        (b'{"message": "no GraphQL at all"}', "user", Kind.INVALID, None),
    ],
)
def test_errors_are_a_failure_and_the_result_is_below_data(body: bytes, result: Any, kind: Kind, value: Any) -> None:
    """Data beside errors isn't a result."""
    outcome = reader_of(GraphQL(query=QUERY, variables={"id": "{id}"}, result=result), MIB, NO_SECRETS).plain(body)
    assert (outcome.kind, outcome.result) == (kind, value)


@pytest.mark.parametrize(
    ("query", "repeatable"),
    [
        (QUERY, True),
        ("{ mutation }", True),
        ('query ($id: ID! = "mutation") { user(id: $id) }', True),
        ("mutation { close }", False),
        ("# the query of a\nmutation Close { close }", False),
        ("query A { a } mutation B { b }", False),
    ],
)
def test_only_a_mutation_is_not_repeatable(query: str, repeatable: bool) -> None:
    """A query may be sent twice, though it is a POST; an author may say otherwise."""
    variables = {"id": "{id}"} if "$id: ID!," in query else None
    assert GraphQL(query=query, variables=variables).is_repeatable is repeatable
    assert GraphQL(query=query, variables=variables, repeatable=False).is_repeatable is False
    assert GraphQL(query=query, variables=variables, idempotency_header="Idempotency-Key").is_repeatable is True


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"query": "user"}, "expected a GraphQL document"),
        ({"query": None}, "query is None"),
        ({"query": "{ user { name }"}, "as many closing braces"),
        ({"query": '{ user(id: "{id}") { name } }'}, 'variables={"id": "{id}"}, and $id here'),
        ({"query": '{ user(day: "{{ ds }}") { name } }'}, "pass the value as variables"),
        ({"query": '{ user(id: "{#1}") { name } }'}, "Airflow takes for a comment"),
        ({"query": "{ user }", "variables": {"id": "{id}"}}, "variables is 'id': expected variables of the document"),
        ({"query": QUERY, "variables": {"first": 1}}, "a value for $id, which the document requires"),
        ({"query": "subscription { user }"}, "a subscription has no one answer"),
        ({"query": "{ user }", "failed_if": "error"}, "failed_if is 'error': expected a Request instead"),
        ({"query": "{ user }", "result": 5}, "result is 5"),
    ],
)
def test_a_mistake_in_a_query_is_known_when_it_is_written(fields: dict[str, Any], says: str) -> None:
    """Each names the field and what to write instead."""
    with pytest.raises(BadSetting) as caught:
        GraphQL(**fields)
    assert says in str(caught.value)
