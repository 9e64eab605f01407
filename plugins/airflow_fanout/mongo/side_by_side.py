"""Batches from threads, a few at once, with their answers in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

# While MongoDB works at one batch, the next one is made and sent. With more, they wait for each other there.
AT_ONCE = 2

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")


def side_by_side(
    batches: Iterable[Batch], send: Callable[[Batch], Answer], before_each: Callable[[], None] = lambda: None
) -> Iterator[Answer]:
    """Send batches from threads, and yield the answers in order; at its end, however that comes, none is under way.

    :param before_each: called before each batch, in the caller's thread.
    """
    under_way: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(AT_ONCE, "fanout-load") as threads:
        for batch in batches:
            if len(under_way) == AT_ONCE:
                yield under_way.popleft().result()
            before_each()
            under_way.append(threads.submit(send, batch))
        while under_way:
            yield under_way.popleft().result()
