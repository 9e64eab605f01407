"""Keys that let a server recognise a request that it has carried out: who gets which, and what they allow."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Retry
from tests.engine.harness import frozen, job, run
from tests.http.servers import Server, as_json

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.harness import Sending
    from tests.http.servers import Connection, Seen

ORDER = Request(endpoint="/orders", method="POST", json={"id": "{id}"}, idempotency_header="Idempotency-Key")
PATIENT = Retry(initial_delay_s=0.01, last_pass=False)


class Shop:
    """A shop that loses its first answer to each order, and the second one after it was made."""

    def __init__(self) -> None:
        self.keys: defaultdict[str, list[str]] = defaultdict(list)
        self.orders: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, seen: Seen, connection: Connection) -> bytes:
        """Take an order, unless its key has made one."""
        with self._lock:
            body, key = seen.body.decode(), seen.headers["idempotency-key"]
            self.keys[body].append(key)
            attempt = len(self.keys[body])
            if attempt > 1:
                self.orders.setdefault(key, body)
        if attempt == 1:
            connection.hang_up(reset=True)
        if attempt == 2:
            return as_json({}, "503 Service Unavailable")
        return as_json({"ordered": self.orders[key]}, "201 Created")


def test_each_attempt_at_a_parameter_has_its_key(tmp_path: Path, sending: Sending) -> None:
    """A POST with a key is repeated after whatever has happened, and carried out once."""
    shop = Shop()
    with Server(shop) as server:
        endpoint = Endpoint(base_url=server.origin)
        result = run(job(frozen(tmp_path, ["a", "b"], ("id",)), ORDER, endpoint, sending(2, retry=PATIENT)))
    assert {record.kind for record in result.records} == {Kind.OK}
    assert sorted(shop.orders.values()) == ['{"id":"a"}', '{"id":"b"}']
    assert [len(keys) for keys in shop.keys.values()] == [3, 3]
    assert len({key for keys in shop.keys.values() for key in keys}) == 2


def test_a_key_is_that_of_the_run_and_the_parameter(tmp_path: Path, sending: Sending) -> None:
    """A later try sends the same ones, a new generation others, and so does another list of the same parameters."""
    sent: list[str] = []

    def handle(seen: Seen, _: Connection) -> bytes:
        sent.append(seen.headers["idempotency-key"])
        return as_json({}, "422 Unprocessable")

    with Server(handle) as server:
        endpoint = Endpoint(base_url=server.origin)
        directory = frozen(tmp_path, ["a"], ("id",))
        todo = job(directory, ORDER, endpoint, sending(1))
        for each in (todo, todo, replace(todo, generation=2), job(frozen(tmp_path, ["a"], ("id",)), ORDER, endpoint)):
            run(each)
    first, second, refetched, other = sent
    assert first == second
    assert len({first, refetched, other}) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"idempotency_header": "a key"}, "idempotency_header is 'a key': expected the name of a header"),
        ({"idempotency_header": "Key", "method": "PUT"}, "idempotency_header is 'Key': expected none with PUT"),
        ({"idempotency_header": "Key", "headers": {"KEY": "{id}"}}, "headers is .*expected no 'Key', because each"),
        ({"idempotency_header": "Key", "repeatable": False}, "repeatable is False: expected nothing besides"),
    ],
)
def test_a_key_that_means_nothing_is_refused(settings: dict[str, Any], message: str) -> None:
    """While the DAG file is parsed."""
    with pytest.raises(BadSetting, match=message):
        Request(**{"endpoint": "/", "method": "POST", **settings})
