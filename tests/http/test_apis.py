"""The connections that parameters name: all that is wrong with them is known before the first request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout.adapters.apis import NamedApis, OneApi, logins_of
from airflow_fanout.errors import BadConnection
from airflow_fanout.launch import connections as module
from airflow_fanout.launch.connection_errors import BadConnections, TooManyConnections, UnusableName
from airflow_fanout.launch.connections import ConnectionName, connections_of
from airflow_fanout.launch.plan import Shard
from airflow_fanout.staging.frozen import read_manifest
from tests.engine.harness import frozen


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three connections: two of shops, and one that is none of an API."""
    for shop in ("ruhr", "saar"):
        text = json.dumps({"conn_type": "http", "host": f"https://{shop}.example", "login": shop, "password": "s3cret"})
        monkeypatch.setenv(f"AIRFLOW_CONN_SHOP_{shop.upper()}", text)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DATA", json.dumps({"conn_type": "mongo", "host": "127.0.0.1"}))
    monkeypatch.setenv(
        "AIRFLOW_CONN_SHOP_SIGNED", json.dumps({"conn_type": "http", "host": "s", "extra": '{"auth": "signed"}'})
    )
    agreed = {"conn_type": "http", "host": "a.example", "extra": json.dumps({"budget": {"name": "a", "rate_per_s": 5}})}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_AGREED", json.dumps(agreed))


def apis(folder: Path, parameters: list[Any], text: str = "shop_{shop}", names: tuple[str, ...] = ()) -> Any:
    """Return the APIs of a list."""
    directory = frozen(folder, parameters, names)
    part = Shard.of(directory, read_manifest(directory), None)
    return logins_of(text, part, note=print, limit_s=1.0, sign=None)


def test_each_connection_is_read_once(tmp_path: Path) -> None:
    """They are those that the list names, in its order."""
    known = apis(tmp_path, [{"shop": shop, "item": item} for item in range(3) for shop in ("saar", "ruhr")])
    assert isinstance(known, NamedApis)
    assert list(known.logins) == ["shop_saar", "shop_ruhr"]
    assert [login.connection.base_url for login in known.logins.values()] == [
        "https://saar.example",
        "https://ruhr.example",
    ]
    assert str(known) == "2 connections, by 'shop_{shop}'"


def test_a_fixed_connection_is_one_api(tmp_path: Path) -> None:
    """As it was, whatever the parameters have."""
    assert isinstance(apis(tmp_path, [{"shop": "ruhr"}], "shop_ruhr"), OneApi)
    with pytest.raises(BadConnection, match=r"'shop_x' isn't there"):
        apis(tmp_path, [{"shop": "ruhr"}], "shop_x")


def test_all_that_is_wrong_is_in_one_message(tmp_path: Path) -> None:
    """Each connection with its first parameter; an id that nobody knows may be somebody's number, and is masked."""
    shops = ["ruhr", "data", "12025550100", "data", "signed", "agreed"]
    with pytest.raises(BadConnections) as caught:
        apis(tmp_path, [{"shop": shop, "item": item} for item, shop in enumerate(shops)])
    words = str(caught.value)
    assert words.startswith("http_conn_id='shop_{shop}' names 4 connections that can't be used. Nothing was requested.")
    assert "parameter 1, connection 'shop_data': The connection 'shop_data' has the type \"mongo\"" in words
    assert "parameter 2: there is no connection 'shop_…00'" in words
    assert "parameter 4, connection 'shop_signed': The connection 'shop_signed' has {\"auth\": \"signed\"}" in words
    assert "parameter 5, connection 'shop_agreed': The connection 'shop_agreed' has a \"budget\" in its extra" in words
    assert "2025550" not in words
    assert not caught.value.retry


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        ({"item": 1}, "has no field 'shop'"),
        ({"shop": None}, "has a field 'shop' that is neither a text nor a whole number"),
        ({"shop": ["ruhr"]}, "has a field 'shop' that is neither a text nor a whole number"),
        ({"shop": True}, "has a field 'shop' that is neither a text nor a whole number"),
        ({"shop": 1.5}, "has a field 'shop' that is neither a text nor a whole number"),
        ({"shop": "a b"}, "gives 'shop_…', which can't be the id of a connection"),
        ({"shop": "+1 202 555 0100"}, "gives 'shop_…00', which can't be the id of a connection"),
        ("ruhr", "has no field 'shop'"),
    ],
)
def test_a_parameter_without_a_connection_is_named_by_its_place(tmp_path: Path, parameter: Any, problem: str) -> None:
    """Its index in the list, and what it lacks; no value is shown."""
    with pytest.raises(UnusableName) as caught:
        apis(tmp_path, [{"shop": "ruhr"}, {"shop": "saar"}, parameter])
    assert str(caught.value).startswith(f"Parameter 2 of the list {problem}, and http_conn_id='shop_{{shop}}' takes")


def test_numbers_and_positions_may_name_a_connection() -> None:
    """A whole number as it is written, a value without a name by its place."""
    assert ConnectionName("shop_{shop}").of({"shop": 7}) == "shop_7"
    assert ConnectionName("{0}").of(["ruhr", 1]) == "ruhr"
    assert ConnectionName("{0}.{1}").of(["ruhr", 1]) == "ruhr.1"


def test_a_field_that_differs_for_each_parameter_is_the_wrong_one() -> None:
    """It is noticed while the list is read, not after a hundred thousand looks into Airflow."""
    assert len(connections_of(enumerate(range(module.MOST_CONNECTIONS)), "{0}")) == module.MOST_CONNECTIONS
    with pytest.raises(TooManyConnections, match=r"names more than 1,000 connections by parameter 1000 of the list"):
        connections_of(enumerate(range(5_000)), "{0}")


def test_an_empty_list_names_none(tmp_path: Path) -> None:
    """Nothing is sent."""
    known = apis(tmp_path, [])
    assert known.logins == {}
