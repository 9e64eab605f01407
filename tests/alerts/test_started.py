from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, Param

from airflow_fanout.alerts.started import MOST_PARAMS, Started, shown_params
from airflow_fanout.notifications.run import started_of

TEL = "+12025550143"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (False, "false"),
        (2_000, "2000"),
        (0.5, "0.5"),
        (12025550143, "…43"),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T00:00:00+01:00", "2026-11-22T00:00:00+01:00"),
        (f"2026-11-22 {TEL}", "…43"),
        (TEL, "…43"),
        ("Ada Lovelace", "…ce"),
        ("ada@example.org", "…rg"),
        ("Ada", "…"),
        ([TEL, TEL], "2 values"),
        ([TEL], "1 value"),
        ({"tel": TEL}, "1 value"),
        ("north", "north"),
    ],
)
def test_only_what_cant_be_personal_is_shown(value: Any, shown: str) -> None:
    """A mail leaves Airflow. A value that the DAG itself lists is nobody's."""
    assert dict(shown_params({"name": value}, {"name": ["north", "south"]})) == {"name": shown}


@pytest.mark.parametrize("name", ["api_key", "PASSWORD", "shop_token", "kennwort"])
def test_nothing_of_a_secret_is_shown(name: str) -> None:
    """By the names that programs use, and by those that Airflow is configured with."""
    assert dict(shown_params({name: "2026-11-22"}, {name: ["2026-11-22"]}, ["kennwort"])) == {name: "…"}


def test_a_name_that_is_like_a_number_is_hidden() -> None:
    """Airflow takes any names in the conf of a run. Empty values say nothing."""
    assert dict(shown_params({TEL: 1, "day": None, "only": []}, {})) == {"…": "1"}


@pytest.mark.parametrize(
    ("started", "facts"),
    [
        (Started("scheduled", "ada"), ()),
        (Started("manual"), (("Started", "by hand"), ("Params", "the DAG's defaults"))),
        (Started("backfill", "a\nda"), (("Started", "by a backfill by a da"),)),
        (Started("new", None, (("a", "1"), ("b", "2"))), (("Started", "new"), ("Params", "a = 1, b = 2"))),
    ],
)
def test_what_a_message_says_of_it(started: Started, facts: tuple[tuple[str, str], ...]) -> None:
    """Nothing of the schedule; Airflow's own word for what nobody knows yet."""
    assert started.facts == facts


def test_many_params_are_counted() -> None:
    """A message has room for a few."""
    params = tuple((f"p{index}", "1") for index in range(MOST_PARAMS + 3))
    assert Started("manual", None, params).facts[1][1].endswith(", p11 = 1, and 3 more")


class Run:
    run_type = "manual"
    triggering_user_name = "ada"
    conf = {"region": "north", "tel": TEL, "api_key": "s3cr3t"}  # noqa: RUF012 - Airflow's is a mapping, too


def test_the_choices_are_those_of_the_dag() -> None:
    """What Airflow's context has becomes what a message says."""
    dag = DAG("d", schedule=None, params={"region": Param("south", enum=["north", "south"]), "tel": Param("")})
    params = (("region", "north"), ("tel", "…43"), ("api_key", "…"))
    assert started_of({"dag": dag, "dag_run": Run}) == Started("manual", "ada", params)
    assert started_of({"dag": dag}) == Started()
