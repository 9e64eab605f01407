"""The pump of a request that has functions of the author's: whatever may run one of them is on the board meanwhile."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_fanout.engine.calls import Calls
from airflow_fanout.engine.pump import Pump
from airflow_fanout.engine.settlement import Attempt
from airflow_fanout.engine.work import Task

if TYPE_CHECKING:
    import pycurl


class CallingPump(Pump):
    """A pump that says whose answer it reads, so that a function that blocks or ends the engine is known.

    :param calls: makes the calls.
    :param parts: what every pump is given.
    """

    def __init__(self, *, calls: Calls, **parts: Any) -> None:
        super().__init__(**parts)
        self._calls = calls

    def _send(self, task: Task, now_s: float) -> None:
        self._calls.make_within(task.index, partial(super()._send, task, now_s))

    def _end(self, easy: pycurl.Curl, code: int, message: str) -> Attempt | None:
        return self._calls.make_within(self._sent[easy][0].index, partial(super()._end, easy, code, message))

    def _sent_elsewhere(self, task: Task, begun_s: float) -> None:
        self._calls.make_within(task.index, partial(super()._sent_elsewhere, task, begun_s))

    def _followed(self, task: Task, begun_s: float, status: int, head: list[bytes]) -> None:
        self._calls.make_within(task.index, partial(super()._followed, task, begun_s, status, head))
