"""A fetch from a service that is opened by tokens, as fetch's task runs it, without an Airflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.login import ApiLogin
from airflow_fanout.api.oauth2 import OAuth2
from airflow_fanout.api.request import Request
from airflow_fanout.launch.fetch import Fetch
from airflow_fanout.launch.plan import Shard
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.journal import read_records
from harness.numbers import numbers
from harness.service import DemoService
from tests.engine.harness import frozen, job, journal

if TYPE_CHECKING:
    from airflow_fanout.launch.messages import FetchMessage
    from airflow_fanout.model.outcome import Record
    from airflow_fanout.model.progress import Progress

SECRET = "s:e cret&more"
CALLS = Request(endpoint="/calls/{tel}", query={"day": "2026-11-22"}, result="calls")


def guarded(**settings: Any) -> AbstractContextManager[DemoService]:
    """Start a service that only tokens open."""
    return DemoService.start(client_id="the client", client_secret=SECRET, **settings)


def oauth2(url: str, token_path: str = "/oauth/token", **more: Any) -> Endpoint:
    """Return the connection of such a service."""
    usual = {"token_url": f"{url}{token_path}", "client_id": "the client", "client_secret": SECRET}
    return Endpoint(base_url=url, auth="oauth2", oauth2=OAuth2(**{**usual, **more}))


@dataclass
class Kept:
    """A refresh token that is kept, for one process."""

    token: str | None = None
    written: list[str] = field(default_factory=list)

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def read(self) -> str | None:
        return self.token

    def write(self, token: str) -> None:
        self.token = token
        self.written.append(token)


def login(endpoint: Endpoint | Callable[[], Endpoint], *, kept: Kept | None = None, **more: Any) -> ApiLogin:
    """Return the login of a connection, which is read by a function, or always the same."""
    read = (lambda: endpoint) if isinstance(endpoint, Endpoint) else endpoint
    return ApiLogin("call_api", read, keeping=lambda _name: kept or Kept(), limit_s=more.pop("limit_s", 60.0), **more)


def fetched(
    folder: Path,
    request: Request | Callable[..., Any],
    how: FetchSettings,
    logged_in: ApiLogin,
    *,
    parameters: int,
    hear: Callable[[FetchMessage], None] = lambda _message: None,
) -> tuple[Progress, list[Record]]:
    """Fetch so many subscribers' calls; return the last progress and the journal's records."""
    directory = frozen(folder, list(numbers(parameters)), ("tel",))
    todo = job(directory, request, logged_in.connection, how)
    part = Shard.of(directory, read_manifest(directory), None)
    progress = Fetch(part, todo, hear, logged_in).run("the connection 'call_api'")
    return progress, list(read_records(journal(directory)))


def trust_no_longer(logged_in: ApiLogin) -> None:
    """Have the next refusal looked into, as if the credentials had been got long ago."""
    logged_in._current = replace(logged_in.current, trusted_until_s=time.monotonic())
