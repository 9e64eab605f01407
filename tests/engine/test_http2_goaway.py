"""A server of HTTP/2 that takes its leave (GOAWAY) says which requests it hasn't processed: those are sent again."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from h2.events import RequestReceived

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry
from tests.engine.harness import frozen, job, run
from tests.http.http2 import Http2Server
from tests.http.servers import authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from h2.connection import H2Connection

COUNT = 60
# How many requests a connection takes before its server leaves.
TAKEN = 3
GET = Request(endpoint="/{0}")
POST = Request(endpoint="/{0}", method="POST", json={"number": "{0}"})
# One attempt, and nothing to spend on others.
BARE = Retry(max_attempts=1, budget=0.0, initial_delay_s=0.01, last_pass=False)


class Leaving(Http2Server):
    """Its first connections end with GOAWAY, and close a moment later (RFC 9113, 6.8).

    :param answers: how many requests of such a connection it answers before; it has processed no others.
    """

    def __init__(self, tls: ssl.SSLContext, *, answers: int, leaves: int) -> None:
        super().__init__(lambda path: (200, json.dumps(path).encode()), tls)
        self._answers = answers
        self._leaves = leaves

    def _serve(self, connected: ssl.SSLSocket, connection: H2Connection) -> None:
        if self.connections > self._leaves:
            super()._serve(connected, connection)
            return
        connection.initiate_connection()
        connected.sendall(connection.data_to_send())
        answered = 0
        for place, event in enumerate(self._requests(connected, connection)):
            if place < self._answers:
                self._respond(connection, event)
                answered += 1
        # A client's streams have odd numbers.
        connection.close_connection(last_stream_id=max(0, 2 * answered - 1))
        connected.sendall(connection.data_to_send())
        time.sleep(0.3)

    def _requests(self, connected: ssl.SSLSocket, connection: H2Connection) -> Iterator[RequestReceived]:
        """Yield the first requests of a connection; those that come no more aren't waited for."""
        connected.settimeout(0.3)
        taken = 0
        with suppress(TimeoutError):
            while taken < TAKEN and (data := connected.recv(1 << 16)):
                events = [one for one in connection.receive_data(data) if isinstance(one, RequestReceived)]
                taken += len(events)
                yield from events
                connected.sendall(connection.data_to_send())


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("answers", [0, 2])
def test_what_a_leaving_server_has_not_processed_is_sent_again(tmp_path: Path, request_: Request, answers: int) -> None:
    """No parameter is lost, none is processed twice, and neither an attempt nor the budget is used up."""
    known, context = authority(tmp_path)
    with Leaving(context, answers=answers, leaves=4) as server:
        endpoint = Endpoint(base_url=server.origin, verify=str(known))
        how = FetchSettings(concurrency=8, transport="curl", retry=BARE, breaker=Breaker(canary=0, startup_attempts=0))
        found = run(job(frozen(tmp_path, range(COUNT)), request_, endpoint, how))
    assert server.connections > 4
    assert found.progress.kinds == {"ok": COUNT}, {record.failure for record in found.records if record.failure}
    assert sorted(server.paths) == sorted(f"/{number}" for number in range(COUNT))
    assert {record.attempts for record in found.records} == {1}
