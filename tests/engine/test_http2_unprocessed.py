"""What a server of HTTP/2 says it hasn't processed is sent again, at no cost, whatever the method."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
from h2.errors import ErrorCodes

from airflow_fanout.endpoint import Endpoint
from airflow_fanout.request import Request
from airflow_fanout.settings import Breaker, FetchSettings, Retry
from tests.engine.harness import frozen, job, run
from tests.http.http2 import Http2Server
from tests.http.servers import authority

if TYPE_CHECKING:
    from pathlib import Path

    from h2.connection import H2Connection
    from h2.events import RequestReceived

COUNT = 200
GET = Request(endpoint="/{0}")
POST = Request(endpoint="/{0}", method="POST", json={"number": "{0}"})
# One attempt, and nothing to spend on others.
BARE = Retry(attempts=1, budget=0.0, base_s=0.01, last_pass=False)


class Refusing(Http2Server):
    """Answers half of the requests, and refuses the stream of the others, which it says it hasn't processed."""

    chance = random.Random(7)

    def _respond(self, connection: H2Connection, event: RequestReceived) -> None:
        if self.chance.random() < 0.5:
            connection.reset_stream(event.stream_id, error_code=ErrorCodes.REFUSED_STREAM)
        else:
            super()._respond(connection, event)


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
