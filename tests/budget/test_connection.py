from __future__ import annotations

import json

import pytest

from airflow_fanout.adapters.budget import budget_of
from airflow_fanout.adapters.connection import endpoint_of
from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.quota import Quota
from airflow_fanout.errors import BadConnection


def connect(monkeypatch: pytest.MonkeyPatch, extra: object) -> None:
    """Set the connection of an API, with an extra."""
    connection = {"conn_type": "http", "host": "https://api.example", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_CALL_API", json.dumps(connection))


def test_the_extra_of_a_connection_names_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no header of the requests."""
    budget = {"name": "calls", "rate_per_s": 100, "weights": {"a": 2}, "quotas": [{"requests": 10, "per": "day"}]}
    connect(monkeypatch, {"budget": budget, "X-Tenant": "7"})

    quotas = (Quota(requests=10, per="day"),)
    assert budget_of("call_api") == ApiBudget(name="calls", rate_per_s=100.0, weights={"a": 2.0}, quotas=quotas)
    assert dict(endpoint_of("call_api").headers) == {"X-Tenant": "7"}


def test_a_connection_without_a_budget_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then each fetch is limited by its own settings only."""
    connect(monkeypatch, {})

    assert budget_of("call_api") is None


@pytest.mark.parametrize(
    ("budget", "problem"),
    [
        (100, 'isn\'t an object, such as {"budget": {"name": "calls", "rate_per_s": 100}}'),
        (
            {"name": "calls", "rate": 1},
            'has "rate" in the "budget" of its extra, which has no such field',
        ),
        ({"name": "calls"}, "can't work: Object missing required field `rate_per_s`"),
        ({"name": "calls", "rate_per_s": "fast"}, "can't work: Expected `float`, got `str` - at `$.rate_per_s`"),
        ({"name": "calls", "rate_per_s": 0}, "can't work: budget.rate_per_s is 0.0: expected a number of at least"),
    ],
)
def test_a_budget_that_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch, budget: object, problem: str) -> None:
    """The error names the connection, the field, and what is expected."""
    connect(monkeypatch, {"budget": budget})

    with pytest.raises(BadConnection) as error:
        budget_of("call_api")

    assert "The connection 'call_api' has" in str(error.value)
    assert problem in str(error.value)
