from __future__ import annotations

from typing import Any, get_args

import pytest
from airflow.sdk import Asset

from airflow_fanout import MongoLoadOperator
from airflow_fanout.errors import BadSetting
from airflow_fanout.mongo import MODES
from airflow_fanout.operators.load import Mode

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
    [("mode", "append"), ("mode", None), ("patience_s", 0), ("patience_s", -1.0), ("patience_s", float("nan"))],
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
    assert asset == Asset(name="reports.calls", uri=uri)
    assert (asset.uri, Asset(uri).uri) == (uri, uri)
