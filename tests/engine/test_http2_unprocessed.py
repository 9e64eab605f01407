"""What a server of HTTP/2 says it hasn't processed is sent again, at no cost, whatever the method."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from h2.errors import ErrorCodes

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry
from tests.engine.harness import frozen, job, run
from tests.http.http2 import Answering, Http2Server
from tests.http.servers import authority

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from h2.connection import H2Connection
    from h2.events import RequestReceived

COUNT = 200
# libcurl sends a GET six times by itself, the engine again ten times at no cost: none comes near its end.
MOST = 6
GET = Request(endpoint="/{0}")
POST = Request(endpoint="/{0}", method="POST", json={"number": "{0}"})
# One attempt, and nothing to spend on others.
BARE = Retry(max_attempts=1, budget=0.0, initial_delay_s=0.01, last_pass=False)


class Refusing(Http2Server):
    """Refuses the streams of each path's first requests, which it says it hasn't processed: none for 0, five for 5."""

    def __init__(self, answer: Answering, tls: ssl.SSLContext) -> None:
        super().__init__(answer, tls)
        self._refused: Counter[str] = Counter()

    def _respond(self, connection: H2Connection, event: RequestReceived) -> None:
        path = dict(event.headers)[":path"]
        if self._refused[path] < int(path[1:]) % MOST:
            self._refused[path] += 1
            connection.reset_stream(event.stream_id, error_code=ErrorCodes.REFUSED_STREAM)
        else:
            super()._respond(connection, event)


class AlwaysRefusing(Http2Server):
    """Refuses every stream."""

    def _respond(self, connection: H2Connection, event: RequestReceived) -> None:
        connection.reset_stream(event.stream_id, error_code=ErrorCodes.REFUSED_STREAM)


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
def test_what_was_not_processed_is_sent_again(tmp_path: Path, request_: Request) -> None:
    """No parameter is lost, none is processed twice, and neither an attempt nor the budget is used up."""
    known, context = authority(tmp_path)
    with Refusing(lambda path: (200, json.dumps(path).encode()), context) as server:
        endpoint = Endpoint(base_url=server.origin, verify=str(known))
        how = FetchSettings(concurrency=8, transport="curl", retry=BARE, breaker=Breaker(canary=0))
        found = run(job(frozen(tmp_path, range(COUNT)), request_, endpoint, how))
    assert found.progress.kinds == {"ok": COUNT}, {record.failure for record in found.records if record.failure}
    assert sorted(server.paths) == sorted(f"/{number}" for number in range(COUNT))
    assert {record.attempts for record in found.records} == {1}


def test_a_stream_that_is_always_refused_says_so(tmp_path: Path) -> None:
    """What libcurl says of a body that it can't send again isn't what has happened."""
    known, context = authority(tmp_path)
    with AlwaysRefusing(lambda path: (200, path.encode()), context) as server:
        endpoint = Endpoint(base_url=server.origin, verify=str(known))
        how = FetchSettings(concurrency=8, transport="curl", retry=BARE, breaker=Breaker(canary=0))
        found = run(job(frozen(tmp_path, range(3)), POST, endpoint, how))
    assert found.progress.kinds == {"connection_error": 3}
    [said] = {record.failure.message for record in found.records if record.failure}
    assert said == (
        "the server refused the request's HTTP/2 stream (REFUSED_STREAM), so it wasn't processed: "
        "necessary data rewind was not possible"
    )
