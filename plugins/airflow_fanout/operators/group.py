"""The four tasks of a report as one task group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import TaskGroup

from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import KindOf
from airflow_fanout.operators.extract import ExtractOperator
from airflow_fanout.operators.fetch import GeventFetchOperator
from airflow_fanout.operators.fetch_arguments import check_connection, check_request
from airflow_fanout.operators.load import MongoLoadOperator
from airflow_fanout.operators.report import NOT_CONDITIONAL
from airflow_fanout.operators.validate import ValidateOperator


class FanoutTaskGroup(TaskGroup):
    """A report: extract >> fetch >> validate >> load, each with the arguments of its operator.

    :param group_id: the group's id, which is the report's name.
    :param extract: arguments of `ExtractOperator`; with `shards`, fetch is mapped over them.
    :param fetch: arguments of `GeventFetchOperator`.
    :param validate: arguments of `ValidateOperator`.
    :param load: arguments of `MongoLoadOperator`.

    The tasks are its attributes `extract`, `fetch`, `validate` and `load`.
    """

    def __init__(
        self,
        group_id: str,
        *,
        extract: Mapping[str, Any],
        fetch: Mapping[str, Any],
        load: Mapping[str, Any],
        validate: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name, arguments in (("extract", extract), ("fetch", fetch), ("load", load), ("validate", validate or {})):
            if not isinstance(arguments, Mapping):
                raise BadSetting(name, KindOf(arguments), "the arguments of its operator, as a dict")
        super().__init__(group_id=group_id, **kwargs)
        with self:
            self.extract = ExtractOperator(task_id="extract", **extract)
            listed = self.extract.output
            if extract.get("shards") is None:
                self.fetch: Any = GeventFetchOperator(task_id="fetch", parameters=listed, **fetch)
            else:
                # A mapped operator is made when its task runs: what can be known now is said now.
                if "request" in fetch:
                    check_request(fetch["request"], self.extract.names, self.extract, fetch.get("values", {}))
                if "http_conn_id" in fetch:
                    check_connection(fetch["http_conn_id"], self.extract.names, fetch.get("processes"))
                self.fetch = GeventFetchOperator.partial(task_id="fetch", **fetch).expand(shard=listed)
            self.validate = ValidateOperator(task_id="validate", parameters=listed, **(validate or {}))
            self.load = MongoLoadOperator(task_id="load", parameters=listed, **load)
            if self.load.keep_days == 0 and getattr(fetch.get("request"), "conditional", False):
                raise BadSetting("load.keep_days", 0, NOT_CONDITIONAL)
            self.extract >> self.fetch >> self.validate >> self.load
