"""How far extract has read its source: in the task's state store as it goes on, in the log also while it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from airflow_fanout.adapters.progress_store import ProgressStore
from airflow_fanout.sources.source import Items

STORED_EACH_S = 1.0
LOGGED_EACH_S = 5.0
# Until then nothing is said of a source that gives nothing.
LONG_SILENCE_S = 1.0


class ListProgress:
    """Passes the items of a source on, and tells how far it is, from entering it to leaving it.

    :param items: what the source gives.
    :param store: gets the progress from whoever takes the items, at most once a second.
    :param log: gets a line every few seconds from a thread of its own, also while the source waits.
    """

    def __init__(
        self,
        items: Items,
        *,
        store: ProgressStore,
        log: Any,
        logged_each_s: float = LOGGED_EACH_S,
    ) -> None:
        self._source = items
        self._store = store
        self._log = log
        self._logged_each_s = logged_each_s
        self._items = 0
        self._begun = self._last_item = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="fanout-list-progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._source.close()

    def __iter__(self) -> Iterator[Any]:
        stored = self._begun
        for item in self._source:
            self._items += 1
            now = self._last_item = time.monotonic()
            if now - stored >= STORED_EACH_S:
                stored = now
                self._store.put(self.state())
            yield item

    def state(self) -> dict[str, Any]:
        """Return how far the reading is, as plain JSON without a value of the source's."""
        seconds = time.monotonic() - self._begun
        return {
            "items": self._items,
            **({} if self._source.pages is None else {"pages": self._source.pages}),
            "seconds": round(seconds, 3),
            "rate_per_s": round(self._items / seconds, 1) if seconds else 0.0,
        }

    def ending(self) -> dict[str, Any]:
        """Return how many pages were read, and why no further one was; of another source, nothing."""
        if self._source.pages is None:
            return {}
        ended = self._source.ended or "the run's limit was reached; the rest of the list wasn't asked for"
        return {"items": self._items, "pages": self._source.pages, "ended": ended}

    def _tell(self) -> None:
        items, moment = 0, self._begun
        while not self._stop.wait(self._logged_each_s):
            now, count = time.monotonic(), self._items
            pages = "" if self._source.pages is None else f" on {self._source.pages:,} page(s)"
            line = f"{count:,} items{pages} so far, {(count - items) / (now - moment):,.0f}/s"
            if now - self._last_item >= LONG_SILENCE_S:
                doing, since = self._source.doing or ("waiting for the source", self._last_item)
                line += f"; {doing}, for {now - since:,.0f} s now"
            self._log.info("%s", line)
            items, moment = count, now
