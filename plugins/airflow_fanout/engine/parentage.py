"""The engine and its parent: what it says, what it hears, and that it lives no longer, however that one ends."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator

import gevent
from gevent.event import Event
from gevent.monkey import get_original

from airflow_fanout.launch.family import end_descendants
from airflow_fanout.launch.lines import Lines
from airflow_fanout.launch.messages import EngineMessage, ParentMessage, encode, from_parent

# From the parent's death to the engine's: the time for a stop in good order, then the end in any case.
GRACE_S = 3.0


class MessageWriter:
    """Tells the parent what happens: a JSON line for each message."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell(self, message: EngineMessage) -> None:
        """Send one message; wait for the parent if it has to read others first."""
        os.write(self._pipe, encode(message))

    def tell_if_heard(self, message: EngineMessage) -> None:
        """Send one message, unless the pipe is full: a parent that waits for Airflow reads nothing."""
        line = encode(message)
        os.set_blocking(self._pipe, False)
        try:
            written = os.write(self._pipe, line)
        except BlockingIOError:
            return
        finally:
            os.set_blocking(self._pipe, True)
        # A message longer than a page may have been cut.
        os.write(self._pipe, line[written:])


class MessageReader:
    """Reads what the parent says, and watches the pipe that it holds open.

    At the pipe's end it stops this process in good order, else by force. The pipe is read by a thread of the operating
    system's, not by a greenlet: an author's function that never lets go of the processor must not keep an orphan alive.

    :param pipe: the reading end.
    :param begun: what was read of it before.
    """

    def __init__(self, pipe: int, begun: bytes) -> None:
        self._pipe = pipe
        self._lines = Lines()
        self._unread = deque(self._lines.feed(begun))
        self._has_come = Event()
        # Of the loop's watchers, the one that another thread may use.
        self._signal = gevent.get_hub().loop.async_(ref=False)
        self._signal.start(self._has_come.set)
        get_original("_thread", "start_new_thread")(self._watch, (get_original("time", "sleep"),))

    def messages(self) -> Iterator[ParentMessage]:
        """Yield the messages as they come, for ever."""
        while True:
            self._has_come.clear()
            while self._unread:
                yield from_parent(self._unread.popleft())
            self._has_come.wait()

    def _watch(self, sleep: object) -> None:
        while data := os.read(self._pipe, 1 << 16):
            self._unread.extend(self._lines.feed(data))
            self._signal.send()
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(GRACE_S)  # type: ignore[operator] # the original time.sleep, not gevent's
        end_descendants(os.getpid())
        os._exit(os.EX_TEMPFAIL)
