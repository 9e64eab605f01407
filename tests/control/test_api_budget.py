from __future__ import annotations

from typing import Any

import msgspec
import pytest

from airflow_fanout.control.api_budget import ApiBudget
from airflow_fanout.control.quiet import QuietHours
from airflow_fanout.control.quota import Quota
from airflow_fanout.errors import BadSetting


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": " "}, "budget.name is ' ': expected a text that isn't empty."),
        ({"rate_per_s": 0}, "budget.rate_per_s is 0: expected a number of at least 0.001 requests per second."),
        ({"rate_per_s": True}, "budget.rate_per_s is True: expected a number of at least 0.001 requests per second."),
        ({"rate_per_s": 1e6}, "budget.rate_per_s is 1000000.0: expected at most 100,000 requests per second."),
        ({"concurrency": 0}, "budget.concurrency is 0: expected a whole number of at least 1."),
        ({"offline_rate_per_s": 101}, "budget.offline_rate_per_s is 101: expected at most rate_per_s, 100."),
        ({"weights": {"dag_a": 0}}, "budget.weights.dag_a is 0: expected a number of at least 0.001."),
        ({"weights": 2}, 'budget.weights is 2: expected names and numbers, such as {"dag_a": 2}.'),
        ({"tenant": 7}, "budget.tenant is 7: expected a text that isn't empty."),
        (
            {"quotas": (Quota(requests=9, per="day"), Quota(requests=99, per="day"))},
            "quotas is 'two per day': expected one quota for each `per`.",
        ),
        (
            {"quiet_hours": (QuietHours(hours="00:00-24:00"),)},
            "quiet_hours is '00:00-24:00': expected hours that leave some time to send requests at.",
        ),
        ({"mongo_conn_id": None}, "budget.mongo_conn_id is None: expected a text that isn't empty."),
    ],
)
def test_what_cannot_work_is_named_with_its_value_and_what_is_expected(fields: dict[str, Any], message: str) -> None:
    """A mistake in a connection's budget says which field it is."""
    with pytest.raises(BadSetting) as error:
        ApiBudget(**{"name": "calls", "rate_per_s": 100, **fields})

    assert str(error.value) == message


def test_an_unknown_field_is_named() -> None:
    """A misspelt field is refused, and the message has those that there are."""
    with pytest.raises(TypeError, match=r"ApiBudget has no field 'rate'. Its fields are: name, rate_per_s, "):
        ApiBudget(name="calls", rate=100)  # type: ignore[call-arg]


def test_quotas_and_quiet_hours_are_read_from_json() -> None:
    """As they stand in a connection's extra."""
    extra = {
        "name": "calls",
        "rate_per_s": 100,
        "quotas": [{"requests": 10_000, "per": "day", "timezone": "Europe/Berlin"}, {"requests": 50, "per": 1.5}],
        "quiet_hours": [{"hours": "22:00-06:00", "days": ["sat", "sun"]}],
    }
    budget = msgspec.convert(extra, ApiBudget)
    assert budget.allowance is not None
    assert [str(quota) for quota in budget.quotas] == [
        "10,000 requests per day (Europe/Berlin)",
        "50 requests in any 1.5 s",
    ]
    assert str(budget.quiet_hours[0]) == "22:00-06:00 on sat, sun (UTC)"
    with pytest.raises(BadSetting, match=r"quota\.per is 'week'"):
        msgspec.convert({**extra, "quotas": [{"requests": 1, "per": "week"}]}, ApiBudget)
