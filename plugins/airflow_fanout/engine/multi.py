"""libcurl's set of handles, its sockets and its clock: what every pump moves its transfers by."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pycurl

from airflow_fanout.engine.sockets import Sockets, bits_of, cut

# So many sockets at a time: it bounds for how long other greenlets wait, and how fast connections are opened.
BATCH = 64
# When so large a share of the transfers can go on, libcurl looks at all of them: one call costs less than one for each.
MOST = 0.5
# libcurl looks once a second whether a kept connection is still good for anything (lib/conncache.c).
CUT_IS_KNOWN_S = 1.5


class Multi:
    """The transfers under way.

    `add` begins a handle's transfer, which is sent when the others go on; `remove` takes it out, and if the transfer
    hasn't ended, closes its connection, on which the answer may still come. Both are libcurl's own functions.

    :param most_kept: how many connections are kept for further transfers.
    :param multi: makes libcurl's set of handles.
    """

    def __init__(self, most_kept: int, multi: Callable[[], Any] = pycurl.CurlMulti) -> None:
        self._sockets = Sockets()
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

    def expect_frames(self, are_there: Callable[[], bool]) -> None:
        """Take what comes on idle connections for frames of HTTP/2, if a function says so when that happens."""
        self._sockets.are_for_one_request_each = lambda: not are_there()

    @property
    def has_cut(self) -> bool:
        """Whether a connection was cut off so lately that libcurl may not know of it."""
        return time.monotonic() - self._sockets.cut_s < CUT_IS_KNOWN_S

    def cut(self, easy: Any) -> None:
        """Cut off the connection of a handle's last transfer, if libcurl has kept it."""
        cut(easy)
        self._sockets.cut_s = time.monotonic()

    def limit(self, most: int) -> None:
        """Open no more connections than so many."""
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, most)

    def know(self, easy: Any) -> None:
        """Hear of the connections that a handle opens; needed once, before its first transfer."""
        easy.setopt(pycurl.SOCKOPTFUNCTION, self._sockets.opened)

    def close(self) -> None:
        """Close all connections."""
        self._multi.close()
        self._sockets.close()

    def go_on(self, under_way: int) -> int:
        """Let libcurl read and write where it can, for a batch of sockets; return at how many it could.

        :param under_way: how many transfers there are.
        """
        ready = self._sockets.ready(BATCH)
        if self._look_at_all and len(ready) > MOST * under_way:
            self._look_at_all()
        else:
            for socket, events in ready:
                self._multi.socket_action(socket, bits_of(events))
        return len(ready)

    @property
    def is_late(self) -> bool:
        """Whether the moment has come at which libcurl wanted to look again."""
        return time.monotonic() >= self._due_s

    def begin(self) -> None:
        """Let libcurl send what was added, and look at what is late."""
        # It would send on a connection that has brought something since its last answer, and take that for the next.
        self._sockets.look_at_idle()
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def ended(self) -> Iterator[tuple[list[Any], list[tuple[Any, int, str]]]]:
        """Yield the handles that have answers, and those that have failed, with libcurl's code and words, in batches.

        Each of them is to be removed.
        """
        left = 1
        while left:
            left, answered, failed = self._multi.info_read()
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
