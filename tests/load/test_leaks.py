"""No value of a document in a message, in a chain of errors, or in the driver's own log."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path
from traceback import format_exception
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout import MongoLoadOperator
from airflow_fanout.adapters.border import airflow_errors
from airflow_fanout.adapters.errors import LoadBroke
from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.write import MODES
from harness.airflow.connections import mongo_connection
from tests.load.loads import load
from tests.load.staged import staged, validate

if TYPE_CHECKING:
    from pymongo.collection import Collection

SECRET = "Lovelace-0042"
MODE = pytest.mark.parametrize("mode", sorted(MODES))


def whole_text(error: BaseException) -> str:
    """Return all that a logger could show of an error: its chain, shown or not, and the repr of each link."""
    text = "".join(format_exception(error))
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None:
            text += f"{link!r} {link.args!r} {link.__dict__!r}"
            links += [link.__cause__, link.__context__]
    return text


@MODE
@pytest.mark.parametrize("rule", ["validator", "index", "other_run", "geo", "parallel"])
def test_no_error_of_mongodb_shows_a_document(
    collection: Collection[dict[str, Any]], caplog: pytest.LogCaptureFixture, mode: str, rule: str
) -> None:
    """Whatever refuses a document, before the first write or at it: neither a message nor its chain has a value."""
    caplog.set_level(logging.DEBUG)
    document: dict[str, Any] = {"tel": SECRET, "name": SECRET, "list": [SECRET], "more": [SECRET], "place": SECRET}
    if rule == "validator":
        collection.database.create_collection(collection.name, validator={"name": {"$type": "int"}})
    elif rule == "geo":
        collection.create_index([("place", "2dsphere")])
    elif rule == "parallel":
        collection.create_index([("list", 1), ("more", 1)])
    else:
        collection.create_index("name", unique=True)
        if rule == "other_run":
            collection.insert_one({"name": SECRET})
    given = [document, {**document, "tel": f"{SECRET}-2"}] if rule == "index" else [document]
    caplog.clear()
    if (mode, rule) == ("swap", "other_run"):
        # What another run has left is gone with the old collection.
        load(collection, given, mode=mode)
    else:
        with pytest.raises((FanoutError, AirflowFailException)) as caught, airflow_errors():
            load(collection, given, mode=mode)
        assert "Lovelace" not in whole_text(caught.value)
    assert "Lovelace" not in caplog.text


def test_the_drivers_log_of_commands_is_left_out_of_a_load(
    collection: Collection[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """At the level DEBUG the driver logs what it sends; not while documents are sent, and again afterwards."""
    caplog.set_level(logging.DEBUG)
    load(collection, [{"tel": SECRET}])
    assert SECRET not in caplog.text
    collection.find_one({"tel": SECRET})
    assert SECRET in caplog.text


class Unequal:
    """A value whose comparison fails, with the document in its words."""

    def __ne__(self, other: object) -> bool:
        raise ZeroDivisionError(f"{SECRET} can't be compared")

    __hash__ = None  # type: ignore[assignment] # it has no equality


def test_an_unexpected_error_is_told_by_its_kind_and_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mongo_uri: str, collection: Collection[dict[str, Any]]
) -> None:
    """What it says may hold a document, and so may the errors that it came from: none of that is in the log."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))
    run = staged(tmp_path)
    validate(run)
    operator = MongoLoadOperator(
        task_id="load",
        parameters=run.reference,
        database="reports",
        collection=collection.name,
        key=("tel",),
        document=lambda _parameter, _result: {"as_of": Unequal()},
    )
    task = SimpleNamespace(dag_id="report", run_id="monday", task_id="load", map_index=-1)
    context: Any = {"ti": task, "outlet_events": defaultdict(SimpleNamespace)}
    with pytest.raises(LoadBroke, match=r"ZeroDivisionError, raised in: __ne__ \(test_leaks\.py:\d+\)") as caught:
        operator.execute(context)
    assert "Lovelace" not in whole_text(caught.value)
    assert collection.count_documents({}) == 0
