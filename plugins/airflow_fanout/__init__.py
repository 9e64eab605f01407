"""airflow-fanout: one Airflow task that makes a hundred thousand HTTP requests, safely."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_fanout.checks import Drift as Drift
    from airflow_fanout.checks import MaxEmpty as MaxEmpty
    from airflow_fanout.checks import Over as Over
    from airflow_fanout.checks import ResultSchema as ResultSchema
    from airflow_fanout.checks import Unique as Unique
    from airflow_fanout.notify.alerts import Alerts as Alerts
    from airflow_fanout.notify.channel import Channel as Channel
    from airflow_fanout.operators.clean import CleanStagingOperator as CleanStagingOperator
    from airflow_fanout.operators.extract import ExtractOperator as ExtractOperator
    from airflow_fanout.operators.fetch import GeventFetchOperator as GeventFetchOperator
    from airflow_fanout.operators.group import FanoutTaskGroup as FanoutTaskGroup
    from airflow_fanout.operators.load import MongoLoadOperator as MongoLoadOperator
    from airflow_fanout.operators.load import collection_asset as collection_asset
    from airflow_fanout.operators.validate import ValidateOperator as ValidateOperator
    from airflow_fanout.request import Request as Request
    from airflow_fanout.settings import Breaker as Breaker
    from airflow_fanout.settings import Retry as Retry
    from airflow_fanout.settings import Throttle as Throttle
    from airflow_fanout.settings import Timeouts as Timeouts
    from airflow_fanout.sources import Cursor as Cursor
    from airflow_fanout.sources import Header as Header
    from airflow_fanout.sources import HttpList as HttpList
    from airflow_fanout.sources import NextLink as NextLink
    from airflow_fanout.sources import PageNumber as PageNumber

__version__ = "0.1.0"

# Imported when first asked for: the engine imports this package, and must not import Airflow with it.
_HOMES = {
    "Alerts": "airflow_fanout.notify.alerts",
    "Breaker": "airflow_fanout.settings",
    "Channel": "airflow_fanout.notify.channel",
    "CleanStagingOperator": "airflow_fanout.operators.clean",
    "Cursor": "airflow_fanout.sources",
    "Drift": "airflow_fanout.checks",
    "ExtractOperator": "airflow_fanout.operators.extract",
    "FanoutTaskGroup": "airflow_fanout.operators.group",
    "GeventFetchOperator": "airflow_fanout.operators.fetch",
    "Header": "airflow_fanout.sources",
    "HttpList": "airflow_fanout.sources",
    "MaxEmpty": "airflow_fanout.checks",
    "MongoLoadOperator": "airflow_fanout.operators.load",
    "NextLink": "airflow_fanout.sources",
    "Over": "airflow_fanout.checks",
    "PageNumber": "airflow_fanout.sources",
    "Request": "airflow_fanout.request",
    "ResultSchema": "airflow_fanout.checks",
    "Retry": "airflow_fanout.settings",
    "Throttle": "airflow_fanout.settings",
    "Timeouts": "airflow_fanout.settings",
    "Unique": "airflow_fanout.checks",
    "ValidateOperator": "airflow_fanout.operators.validate",
    "collection_asset": "airflow_fanout.operators.load",
}
__all__ = [*_HOMES]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
