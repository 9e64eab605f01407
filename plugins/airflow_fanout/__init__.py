"""airflow-fanout: one Airflow task that makes a hundred thousand HTTP requests, safely."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_fanout.adapters.assets import collection_asset as collection_asset
    from airflow_fanout.api.answers import Csv as Csv
    from airflow_fanout.api.answers import Xml as Xml
    from airflow_fanout.api.batch import Batch as Batch
    from airflow_fanout.api.graphql import GraphQL as GraphQL
    from airflow_fanout.api.page import Header as Header
    from airflow_fanout.api.paging import Cursor as Cursor
    from airflow_fanout.api.paging import NextLink as NextLink
    from airflow_fanout.api.paging import Offset as Offset
    from airflow_fanout.api.paging import PageNumber as PageNumber
    from airflow_fanout.api.poll import Poll as Poll
    from airflow_fanout.api.request import Request as Request
    from airflow_fanout.model.settings import Breaker as Breaker
    from airflow_fanout.model.settings import Retry as Retry
    from airflow_fanout.model.settings import Throttle as Throttle
    from airflow_fanout.model.settings import Timeouts as Timeouts
    from airflow_fanout.mongo.types import Date as Date
    from airflow_fanout.notifications.alerts import Alerts as Alerts
    from airflow_fanout.notifications.channel import Channel as Channel
    from airflow_fanout.operators.clean import CleanStagingOperator as CleanStagingOperator
    from airflow_fanout.operators.erase import EraseOperator as EraseOperator
    from airflow_fanout.operators.extract import ExtractOperator as ExtractOperator
    from airflow_fanout.operators.fetch import GeventFetchOperator as GeventFetchOperator
    from airflow_fanout.operators.group import FanoutTaskGroup as FanoutTaskGroup
    from airflow_fanout.operators.load import MongoLoadOperator as MongoLoadOperator
    from airflow_fanout.operators.validate import ValidateOperator as ValidateOperator
    from airflow_fanout.sources.asset_events import AssetEvents as AssetEvents
    from airflow_fanout.sources.file_list import FileList as FileList
    from airflow_fanout.sources.http_list import HttpList as HttpList
    from airflow_fanout.sources.mongo_list import MongoList as MongoList
    from airflow_fanout.sources.sql_list import SqlList as SqlList
    from airflow_fanout.validation.checks.custom import CustomCheck as CustomCheck
    from airflow_fanout.validation.checks.drift import Drift as Drift
    from airflow_fanout.validation.checks.max_empty import MaxEmpty as MaxEmpty
    from airflow_fanout.validation.checks.result_schema import ResultSchema as ResultSchema
    from airflow_fanout.validation.checks.unique import Unique as Unique

__version__ = "0.1.0"

# Imported when first asked for: the engine imports this package, and must not import Airflow with it.
_HOMES = {
    "Alerts": "airflow_fanout.notifications.alerts",
    "AssetEvents": "airflow_fanout.sources.asset_events",
    "Batch": "airflow_fanout.api.batch",
    "Breaker": "airflow_fanout.model.settings",
    "Channel": "airflow_fanout.notifications.channel",
    "CleanStagingOperator": "airflow_fanout.operators.clean",
    "Csv": "airflow_fanout.api.answers",
    "Cursor": "airflow_fanout.api.paging",
    "Date": "airflow_fanout.mongo.types",
    "Drift": "airflow_fanout.validation.checks.drift",
    "EraseOperator": "airflow_fanout.operators.erase",
    "ExtractOperator": "airflow_fanout.operators.extract",
    "FanoutTaskGroup": "airflow_fanout.operators.group",
    "FileList": "airflow_fanout.sources.file_list",
    "GeventFetchOperator": "airflow_fanout.operators.fetch",
    "GraphQL": "airflow_fanout.api.graphql",
    "Header": "airflow_fanout.api.page",
    "HttpList": "airflow_fanout.sources.http_list",
    "MaxEmpty": "airflow_fanout.validation.checks.max_empty",
    "MongoList": "airflow_fanout.sources.mongo_list",
    "MongoLoadOperator": "airflow_fanout.operators.load",
    "NextLink": "airflow_fanout.api.paging",
    "Offset": "airflow_fanout.api.paging",
    "CustomCheck": "airflow_fanout.validation.checks.custom",
    "PageNumber": "airflow_fanout.api.paging",
    "Poll": "airflow_fanout.api.poll",
    "Request": "airflow_fanout.api.request",
    "ResultSchema": "airflow_fanout.validation.checks.result_schema",
    "Retry": "airflow_fanout.model.settings",
    "SqlList": "airflow_fanout.sources.sql_list",
    "Throttle": "airflow_fanout.model.settings",
    "Timeouts": "airflow_fanout.model.settings",
    "Unique": "airflow_fanout.validation.checks.unique",
    "ValidateOperator": "airflow_fanout.operators.validate",
    "Xml": "airflow_fanout.api.answers",
    "collection_asset": "airflow_fanout.adapters.assets",
}
__all__ = [*_HOMES]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
