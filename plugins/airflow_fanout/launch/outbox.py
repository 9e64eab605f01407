"""The parent's end of the pipe to an engine, written without waiting."""

from __future__ import annotations

import os
import threading

from airflow_fanout.launch.messages import ParentMessage, Start, encode


class Outbox:
    """Sends an engine its job, and then messages that wait here while the pipe is full.

    An engine that is stopped or blocked reads nothing, and its parent has others to look after. Safe for several
    threads: another one than that which listens sends credentials.

    :param pipe: the writing end, which is closed by `close`.
    :param first: the first message, which is sent at once.
    """

    def __init__(self, pipe: int, first: Start) -> None:
        self._pipe = pipe
        self._waiting = bytearray()
        self._lock = threading.Lock()
        self._is_closed = False
        # Whatever its size: to read it is the first thing that an engine does.
        self.send(first)
        os.set_blocking(pipe, False)

    def send(self, message: ParentMessage) -> None:
        """Send a message now, or as soon as there is room for it."""
        with self._lock:
            self._waiting += encode(message)
        self.send_rest()

    def send_rest(self) -> None:
        """Send what waits, as far as there is room; called about once a second."""
        with self._lock:
            try:
                while self._waiting and not self._is_closed:
                    del self._waiting[: os.write(self._pipe, self._waiting)]
            except BlockingIOError:
                return
            except BrokenPipeError:
                # The engine has ended, which is heard elsewhere.
                self._waiting.clear()

    def close(self) -> None:
        """Close the pipe, which tells the engine to stop."""
        with self._lock:
            # Its number may be another file's from now on.
            self._is_closed = True
            os.close(self._pipe)
