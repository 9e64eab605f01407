from __future__ import annotations

from typing import Any, get_args

import pytest
from airflow.sdk import Asset

from airflow_fanout import MongoLoadOperator
from airflow_fanout.errors import BadSetting
from airflow_fanout.mongo.modes import Mode
from airflow_fanout.mongo.write import MODES

PLAIN: dict[str, Any] = {
    "task_id": "load",
    "parameters": {"directory": "nowhere"},
    "database": "reports",
    "collection": "calls",
    "key": ["tel"],
}


def test_every_mode_can_be_written() -> None:
    """The names that the operator takes are those that the writer has."""
    assert set(get_args(Mode)) == MODES.keys()
    for mode in get_args(Mode):
        assert MongoLoadOperator(**PLAIN, mode=mode).mode == mode


@pytest.mark.parametrize(
    ("field", "value"),
    [("mode", "append"), ("mode", None), ("timeout_s", 0), ("timeout_s", -1.0), ("timeout_s", float("nan"))],
)
def test_a_setting_that_cannot_work_is_refused_where_it_is_written(field: str, value: object) -> None:
    """While the DAG file is parsed, with the field's name."""
    with pytest.raises(BadSetting) as caught:
        MongoLoadOperator(**PLAIN, **{field: value})
    assert caught.value.field == field


def test_the_asset_has_the_address_that_airflow_would_give_it() -> None:
    """Made without the provider's help, it is the same asset that another DAG names by its address."""
    uri = "mongodb://mongo_default:27017/reports/calls"
    [asset] = MongoLoadOperator(**PLAIN).outlets
    assert asset == Asset(name="mongo_default/reports.calls", uri=uri)
    assert (asset.uri, Asset(uri).uri) == (uri, uri)


def test_one_collection_over_two_connections_is_two_assets() -> None:
    """Airflow wants one name for one address; the connection stands in both."""
    two = [MongoLoadOperator(**PLAIN, mongo_conn_id=conn_id).outlets[0] for conn_id in ("mongo_default", "mongo_other")]
    assert len({asset.name for asset in two}) == len({asset.uri for asset in two}) == 2


@pytest.mark.parametrize("name", ["données", "a b", "日本語", "50%", "{{ params.collection }}"])
def test_the_asset_of_any_name_is_plain_text(name: str) -> None:
    """An address has no other signs, and Airflow takes it as it is."""
    [asset] = MongoLoadOperator(**{**PLAIN, "collection": name}).outlets
    assert (asset.uri + asset.name).isascii()
    assert Asset(asset.uri).uri == asset.uri
    assert asset.name.startswith("mongo_default/reports.")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("database", name) for name in (None, "", "a b", "a.b", "admin", "x" * 64)),
        *(("collection", name) for name in (None, "", "a$b", ".a", "system.users", "fanout.leases")),
    ],
)
def test_a_name_that_mongodb_does_not_take_is_an_import_error(field: str, value: Any) -> None:
    """What needs no server to be known is said while the DAG file is parsed."""
    with pytest.raises(BadSetting) as caught:
        MongoLoadOperator(**{**PLAIN, field: value})
    assert caught.value.field == field
