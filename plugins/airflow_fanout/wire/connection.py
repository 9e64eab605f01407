"""urllib3's connections and pools, with answers that are read by the rules of this package.

A connection that has brought anything unexpected isn't used again: bytes after an answer would be the next one's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http.client import HTTPResponse
from queue import LifoQueue
from typing import TYPE_CHECKING, Any

from urllib3 import connection, connectionpool
from urllib3.poolmanager import pool_classes_by_scheme

from airflow_fanout.wire.received import Line, Received

if TYPE_CHECKING:
    from urllib3 import PoolManager


class Established(HTTPResponse):
    """A proxy's answer to CONNECT; interim answers before it are skipped."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            status_line: tuple[str, int, str] = super()._read_status()  # type: ignore[misc] # http.client's own seam, without types
            if not 100 <= status_line[1] < 200:
                return status_line
            while self.fp.readline().strip():
                pass


class Careful:
    """What is different in a connection of ours."""

    _line: Line | None = None
    sock: Any

    @property
    def response_class(self) -> Any:
        """What reads an answer; http.client asks for it."""
        if self._line is None:
            return Established
        return partial(Received, self._line)

    def connect(self) -> None:
        """Open the connection."""
        # A proxy's own answer comes first.
        self._line = None
        super().connect()  # type: ignore[misc] # that of urllib3's class beside this one
        self._line = Line()

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used for another request."""
        if self._line is not None and self._line.is_soiled:
            return False
        return bool(super().is_connected)  # type: ignore[misc] # as above


# Named as urllib3's own, since messages show the names.
class HTTPConnection(Careful, connection.HTTPConnection):  # type: ignore[override] # http.client only reads `response_class`
    """A connection over plain TCP."""


class HTTPSConnection(Careful, connection.HTTPSConnection):  # type: ignore[override] # as above
    """A connection over TLS."""


class OpenFirst(LifoQueue[Any]):
    """A pool's places, those with an open connection first.

    A place whose connection has failed would otherwise be the next to be taken: an API that allows no more connections
    than there are open ones would refuse each new one, while all of those stand idle.
    """

    def _put(self, item: Any) -> None:
        self.queue.insert(0 if item is None else len(self.queue), item)


class Quiet:
    """What is different in a pool of ours: one connection too many is closed, and nobody is warned."""

    pool: LifoQueue[Any] | None
    block: bool

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and not self.block and self.pool is not None and self.pool.full():
            conn.close()
            return
        super()._put_conn(conn)  # type: ignore[misc] # that of urllib3's class beside this one


class HTTPConnectionPool(Quiet, connectionpool.HTTPConnectionPool):
    """A pool of such connections that takes open ones first."""

    ConnectionCls = HTTPConnection
    QueueCls = OpenFirst


class HTTPSConnectionPool(Quiet, connectionpool.HTTPSConnectionPool):
    """A pool of such connections that takes open ones first."""

    ConnectionCls = HTTPSConnection
    QueueCls = OpenFirst


POOLS: Mapping[str, Any] = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


def make_careful(manager: PoolManager) -> None:
    """Change urllib3's manager so that its pools are ours, unless it has pools of a kind of its own (SOCKS)."""
    if manager.pool_classes_by_scheme == pool_classes_by_scheme:
        manager.pool_classes_by_scheme = dict(POOLS)
        return
    # A copy: these are the pools of all such managers.
    pools: dict[str, Any] = dict(manager.pool_classes_by_scheme)
    for scheme, pool in pools.items():
        beside = type(pool.ConnectionCls.__name__, (Careful, pool.ConnectionCls), {})
        pools[scheme] = type(pool.__name__, (Quiet, pool), {"ConnectionCls": beside, "QueueCls": OpenFirst})
    manager.pool_classes_by_scheme = pools
