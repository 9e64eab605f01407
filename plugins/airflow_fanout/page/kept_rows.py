"""Lists that were read a moment ago: the next page of one, or of a search in it, needn't read the journal again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from airflow_fanout.page.missing_rows import RowFile

KEPT_S = 600.0
# About five bytes a row that is masked: millions of rows. In each process of the API server.
MOST_BYTES = 128 << 20


class KeptRows:
    """Lists by what they were made of, the last ones that somebody has looked at.

    :param most_bytes: how many bytes all of them may have; a list that alone has more is made for each look.
    :param kept_s: for how many seconds after the last look a list is kept.
    :param clock: the time in seconds.
    """

    def __init__(
        self, most_bytes: int = MOST_BYTES, kept_s: float = KEPT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_bytes, self._kept_s, self._clock = most_bytes, kept_s, clock
        self._lock = threading.Lock()
        # The one that was looked at last is the last one.
        self._lists: dict[Hashable, tuple[Future[RowFile], float]] = {}
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        return len(self._lists)

    def get(self, key: Hashable, make: Callable[[], RowFile]) -> RowFile:
        """Return the list of this key; of several who ask for it at the same time, one makes it.

        :param make: makes the list; whoever waits for it gets its error, and it is tried again after that.
        """
        self.forget()
        with self._lock:
            future, _ = self._lists.pop(key, (None, 0.0))
            is_new = future is None
            future = future or Future()
            self._lists[key] = (future, self._clock())
        if is_new:
            self._make(key, future, make)
        return future.result()

    def _make(self, key: Hashable, future: Future[RowFile], make: Callable[[], RowFile]) -> None:
        try:
            rows = make()
        except BaseException as error:
            with self._lock:
                del self._lists[key]
            future.set_exception(error)
            raise
        future.set_result(rows)
        self.forget()

    def forget(self) -> None:
        """Forget the lists that nobody has looked at for long, and the oldest ones of too many bytes."""
        with self._lock:
            size = 0
            for key, (future, seen) in reversed([*self._lists.items()]):
                if not future.done():
                    continue
                size += future.result().size
                if size > self._most_bytes or self._clock() - seen >= self._kept_s:
                    del self._lists[key]
            if self._lists and self._timer is None:
                # If nobody looks any more, nothing else would come by.
                self._timer = threading.Timer(self._kept_s, self._forget_in_time)
                self._timer.daemon = True
                self._timer.start()

    def _forget_in_time(self) -> None:
        with self._lock:
            self._timer = None
        self.forget()
