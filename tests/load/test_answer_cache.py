"""A cache of results for development: nobody waits twice for the same answers while a report is written."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.answer_cache import KEPT_S, NAME, AnswerCache
from tests.load.reports import Reports, Service

if TYPE_CHECKING:
    from pymongo.collection import Collection

IDS = [f"i{number}" for number in range(4)]
PLAIN = Request(endpoint="/items/{id}")
Make = Callable[..., Reports]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the cache's folder, which isn't there yet."""
    return tmp_path / "cache" / "of answers"


@pytest.fixture
def reports(
    staging: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, collection: Collection[dict[str, Any]]
) -> Make:
    """Return what makes a report, with the cache switched on."""
    assert staging
    monkeypatch.setenv("AIRFLOW__FANOUT__ANSWER_CACHE", str(folder))
    return lambda **parts: Reports(collection.name, [*IDS], parts)


def asked(service: Service) -> list[str]:
    """Return the ids that were asked for since the last call."""
    return [item for item, _ in service.taken()]


def by_function(session: Any, id: str) -> Any:  # noqa: A002 - the field's name
    """Ask for an item."""
    response = session.get(f"/items/{id}")
    response.raise_for_status()
    return response.json()


@pytest.mark.parametrize("request_", [PLAIN, by_function], ids=["request", "function"])
def test_the_next_run_asks_for_nothing_that_is_there(
    reports: Make,
    service: Service,
    folder: Path,
    collection: Collection[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    request_: Any,
) -> None:
    """What failed is asked for again; the log and the XCom say how many results are old; the load is whole."""
    report = reports()
    service.statuses.update(i1=500)
    first = report.run(0, request=request_).all()
    assert (first["fetch"]["from_cache"], asked(service)) == (0, IDS)
    service.statuses.clear()
    second = report.run(1, request=request_, limit=4).all()
    assert asked(service) == ["i1"]
    assert (second["fetch"]["from_cache"], second["fetch"]["ok"], second["load"]["documents"]) == (3, 4, 4)
    assert "3 of 4 results are not requested: they come from the cache for development" in capsys.readouterr().out
    assert report.run(2, request=request_, limit=4).all()["fetch"]["from_cache"] == 4
    assert asked(service) == []
    assert collection.count_documents({"result.id": "i1"}) == 2
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / NAME)] == [0o700, 0o600]


def test_without_the_setting_there_is_none(
    reports: Make, service: Service, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is off unless somebody switches it on, and then says so nowhere."""
    monkeypatch.delenv("AIRFLOW__FANOUT__ANSWER_CACHE")
    for day in (0, 1):
        assert "from_cache" not in reports().run(day, request=PLAIN).all()["fetch"]
        assert asked(service) == IDS
    assert not folder.exists()


@pytest.mark.parametrize(
    "request_",
    [
        Request(endpoint="/items/{id}", result="id"),
        Request(endpoint="/items/{id}", query={"day": "{{ macros.fanout.day() }}"}),
        by_function,
    ],
    ids=["result", "query", "function"],
)
def test_another_request_has_other_answers(reports: Make, service: Service, request_: Any) -> None:
    """A result is that of one request, as it is rendered."""
    reports().run(0, request=PLAIN).all()
    asked(service)
    reports().run(1, request=request_).all()
    assert asked(service) == IDS


def test_refetch_asks_for_everything(reports: Make, service: Service) -> None:
    """And the cache has the newer results then."""
    reports().run(0, request=PLAIN).all()
    asked(service)
    assert reports(fetch={"refetch": True}).run(1, request=PLAIN).all()["fetch"]["from_cache"] == 0
    assert asked(service) == IDS


def test_an_old_answer_is_forgotten(reports: Make, service: Service, folder: Path) -> None:
    """A cache that somebody has forgotten doesn't serve for ever."""
    reports().run(0, request=PLAIN).all()
    asked(service)
    AnswerCache(str(folder), clock=lambda: 4e9 + KEPT_S).close()
    reports().run(1, request=PLAIN).all()
    assert asked(service) == IDS


def test_what_is_no_cache_is_named(reports: Make, folder: Path) -> None:
    """The task fails with the setting, the value and what to do, before the first request."""
    folder.mkdir(parents=True)
    (folder / NAME).write_text("something else, of some length, which is no database at all" * 10)
    run = reports().run(0, request=PLAIN)
    run.extract()
    with pytest.raises(AirflowFailException, match=r"answer_cache.*remove that file to begin a new cache"):
        run.fetch()
    with pytest.raises(BadSetting, match="the absolute path of a folder"):
        AnswerCache("cache")
    with pytest.raises(BadSetting, match="a folder, but something else is there"):
        AnswerCache(str(folder / NAME))
