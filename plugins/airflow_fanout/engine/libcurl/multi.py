"""libcurl's set of handles, its sockets and its clock: what every pump moves its transfers by."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pycurl

from airflow_fanout.engine.libcurl.connections import Connections
from airflow_fanout.engine.libcurl.over_tls import OverTls
from airflow_fanout.engine.libcurl.sockets import Sockets, bits_of

if TYPE_CHECKING:
    from airflow_fanout.engine.libcurl.transfer import Transfer

# The sockets that one turn handles: this bounds how long other greenlets wait, and how fast connections are opened.
BATCH = 64
# When so large a share of the transfers can go on, libcurl looks at all of them: one call costs less than one for each.
MOST = 0.5


class Turn(NamedTuple):
    """What came of a turn.

    :param ended: how many transfers have ended since others were started.
    :param pause_s: when there may be more to start, in seconds.
    :param has_read_all: whether all was read that had come.
    """

    ended: int
    pause_s: float
    has_read_all: bool


class Multi:
    """The transfers under way.

    `add` begins a handle's transfer, which is sent when the others go on; `remove` takes it out, and if the transfer
    hasn't ended, closes its connection, on which the answer may still come. Both are libcurl's own functions.

    :param most_kept: how many connections are kept for further transfers.
    :param multi: makes libcurl's set of handles.
    """

    def __init__(self, most_kept: int, multi: Callable[[], Any] = pycurl.CurlMulti) -> None:
        self._connections = Connections()
        self._sockets = Sockets(self._connections)
        self._multi = multi()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._sockets.want)
        self._multi.setopt(pycurl.M_MAXCONNECTS, most_kept)
        self.add: Callable[[Any], None] = self._multi.add_handle
        self.remove: Callable[[Any], None] = self._multi.remove_handle
        # libcurl advises against it, for just what is wanted here: that it looks at all transfers. It may go one day.
        self._look_at_all: Callable[[], Any] | None = getattr(self._multi, "socket_all", None)
        self._due_s = math.inf

    def __repr__(self) -> str:
        return f"Multi({self._sockets})"

    def fileno(self) -> int:
        """The descriptor that is readable when a transfer can go on."""
        return self._sockets.fileno()

    def soil(self, easy: Any) -> None:
        """Have the connection of a handle's last transfer closed instead of used again, if libcurl has kept it."""
        socket = easy.getinfo(pycurl.ACTIVESOCKET)
        if socket != pycurl.SOCKET_BAD:
            self._connections.soil(socket)

    def limit(self, most: int) -> None:
        """Open at most this number of connections."""
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, most)

    def know(self, transfer: Transfer) -> None:
        """Hear of the connections that a handle opens and uses; needed once, before its first transfer."""
        tell = transfer.easy.setopt
        tell(pycurl.SOCKOPTFUNCTION, self._sockets.opened)
        if transfer.over_tls:
            over_tls = OverTls(transfer, self._connections)
            tell(pycurl.PREREQFUNCTION, over_tls.sends)
            tell(pycurl.HEADERFUNCTION, over_tls.hears)
        else:
            tell(pycurl.PREREQFUNCTION, self._connections.may_send)

    def close(self) -> None:
        """Close all connections."""
        self._multi.close()
        self._sockets.close()

    def turn(self, under_way: int, collect: Callable[[], int], start: Callable[[], tuple[int, float]]) -> Turn:
        """Do all that can be done now: read and write, settle what has ended, start what may be started, and send it.

        Whatever libcurl is asked to do, it sends what was added before, too, on any connection whose answer has ended.
        So nothing is added before somebody has looked behind that answer.

        :param under_way: how many transfers there are.
        :param collect: takes what has ended; returns how many.
        :param start: adds what may be sent; returns how many, and when there may be more, in seconds.
        """
        ready = self._sockets.ready(BATCH)
        if self._look_at_all and len(ready) > MOST * under_way:
            self._look_at_all()
        else:
            for socket, events in ready:
                self._multi.socket_action(socket, bits_of(events))
        if ready:
            collect()
        started, pause_s = start()
        if started or not ready or time.monotonic() >= self._due_s:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        # What stands in the sockets isn't read yet after a full batch, and then silence is none.
        return Turn(collect(), pause_s, len(ready) < BATCH)

    def ended(self) -> Iterator[tuple[list[Any], list[tuple[Any, int, str]]]]:
        """Yield the handles that have answers, and those that have failed, with libcurl's code and words, in batches.

        Each of them is to be removed.
        """
        left = 1
        while left:
            left, answered, failed = self._multi.info_read()
            if failed:
                # What wasn't sent, since its connection wasn't clean, begins again.
                unsent = [easy for easy, code, _ in failed if code == pycurl.E_ABORTED_BY_CALLBACK]
                for easy in unsent:
                    self.remove(easy)
                    self.add(easy)
                failed = [failure for failure in failed if failure[0] not in unsent]
            yield answered, failed

    def timeout_s(self) -> float:
        """Return when libcurl wants to look again, in seconds, whatever the sockets say; infinity if it doesn't."""
        # Asked once for all that was sent; libcurl's callback for it would be called twice for each transfer.
        ms = self._multi.timeout()
        self._due_s = math.inf if ms < 0 else time.monotonic() + ms / 1000
        return math.inf if ms < 0 else ms / 1000

    def check(self) -> None:
        """Make sure that no socket is forgotten; called now and then."""
        self._sockets.check()
