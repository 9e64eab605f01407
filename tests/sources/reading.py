"""What a source gets of a task, with the adapters that a task has; a template is rendered by Jinja alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from itertools import islice
from types import SimpleNamespace
from typing import IO, Any

import pytest
from jinja2 import Environment

from airflow_fanout.adapters.budget import BudgetTurns, turns_of
from airflow_fanout.adapters.logging_in import login_of
from airflow_fanout.adapters.mongo import documents_of
from airflow_fanout.adapters.readers import database_of, open_file
from airflow_fanout.api.login import ApiLogin
from airflow_fanout.errors import FanoutError
from airflow_fanout.sources.source import Database, to_source


class Access:
    """What a source gets of a task."""

    def __init__(self, **values: Any) -> None:
        self.values: Mapping[str, Any] = values

    def resolve(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def render(self, value: Any) -> Any:
        if isinstance(value, str):
            return Environment(autoescape=True).from_string(value).render(self.values)
        if isinstance(value, dict):
            return {name: self.render(part) for name, part in value.items()}
        if hasattr(value, "resolve"):
            return value.resolve(self.values)
        return [self.render(part) for part in value] if isinstance(value, list) else value

    def login(self, conn_id: str) -> ApiLogin:
        return login_of(conn_id, note=print)

    def turns(self, conn_id: str) -> BudgetTurns | None:
        return turns_of(conn_id, "dag", {"dag_run": SimpleNamespace(run_type="scheduled")}, note=print)  # type: ignore[typeddict-item]

    def documents(self, conn_id: str) -> AbstractContextManager[Any]:
        return documents_of(conn_id)

    def database(self, conn_id: str) -> Database:
        return database_of(conn_id)

    def file(self, path: str, conn_id: str | None) -> IO[bytes]:
        return open_file(path, conn_id)


def read(source: Any, *, names: tuple[str, ...] = (), most: int | None = None, **values: Any) -> list[Any]:
    """Return the parameters of a source, all or the first few; it is closed afterwards."""
    with closing(to_source(source).open(Access(**values), names=names)) as items:
        return list(islice(items, most))


def check(source: Any, *, names: tuple[str, ...] = (), **values: Any) -> None:
    """Do what the preflight does."""
    to_source(source).check(Access(**values), names=names)


def refused(source: Any, *, names: tuple[str, ...] = (), **values: Any) -> tuple[str, bool]:
    """Return the words with which reading a source fails, and whether it may be tried again."""
    with pytest.raises(FanoutError) as caught:
        read(source, names=names, **values)
    return str(caught.value), caught.value.retry


def refused_early(source: Any, *, names: tuple[str, ...] = (), **values: Any) -> tuple[str, bool]:
    """Return the same of what the preflight does."""
    with pytest.raises(FanoutError) as caught:
        check(source, names=names, **values)
    return str(caught.value), caught.value.retry
