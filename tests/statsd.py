"""A StatsD server as far as tests need one: what arrives by UDP, with the tags that Airflow writes into names."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self

TYPES = {"c": "counter", "g": "gauge", "ms": "timing"}
# How long the receiver sleeps before it looks whether it shall end.
POLL_S = 0.2


class Received(NamedTuple):
    """One value of one metric."""

    name: str
    type: str
    value: float
    tags: Mapping[str, str]

    @classmethod
    def read(cls, line: str) -> Self:
        """Read `name,tag=value,…:1|c`, as Airflow's client writes it with `statsd_influxdb_enabled`."""
        names, _, rest = line.partition(":")
        name, *tags = names.split(",")
        value, kind = rest.split("|")[:2]
        return cls(name, TYPES[kind], float(value), dict(tag.split("=") for tag in tags))


class StatsdServer:
    """Receives on a free port of this machine, for as long as it is a context; keeps what is ours."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(POLL_S)
        self._lines: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._receive, name="statsd")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    @property
    def config(self) -> dict[str, str]:
        """The settings by which an Airflow sends its metrics here."""
        host, port = self._socket.getsockname()
        return {
            "metrics.statsd_on": "True",
            "metrics.statsd_host": host,
            "metrics.statsd_port": str(port),
            "metrics.statsd_influxdb_enabled": "True",
        }

    def of_dag(self, dag_id: str) -> list[Received]:
        """Return what a DAG's tasks have told so far, in the order of its arrival; the prefix is left out."""
        # What was sent before this moment is read within the receiver's sleep.
        time.sleep(2 * POLL_S)
        received = [Received.read(line.removeprefix("airflow.")) for line in list(self._lines)]
        return [one for one in received if one.tags["dag_id"] == dag_id]

    def _receive(self) -> None:
        while not self._ended.is_set():
            try:
                lines = self._socket.recv(65536).decode().splitlines()
            except TimeoutError:
                continue
            self._lines += [line for line in lines if line.startswith("airflow.fanout.")]
