"""What becomes of the requests for batches: each parameter has its outcome, or the batch is tried again, or halved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from msgspec.structs import replace

from airflow_fanout.api.batch import Batch
from airflow_fanout.api.request import Request
from airflow_fanout.control.batches import RefusedBatches
from airflow_fanout.control.retry import Again, Verdict
from airflow_fanout.engine.batches import BatchQueue, BatchTask, Split
from airflow_fanout.engine.settlement import Settlement
from airflow_fanout.engine.work import Task
from airflow_fanout.launch.stop_reasons import BatchesRefused, LongPause
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.privacy.telling import words_of


class BatchSettlement(Settlement):
    """Writes down the outcomes of all parameters of a batch; a batch is one request for everything else.

    :param batch: how the author wants batches.
    :param is_proven: whether batches were accepted by an earlier try of the task.
    """

    def __init__(self, *, batch: Batch, is_proven: bool, **parts: Any) -> None:
        super().__init__(**parts)
        self._queue = cast("BatchQueue", parts["work"])
        self._refused_statuses = frozenset(batch.refused_statuses)
        self._watch = None if is_proven else RefusedBatches()

    def _settle(self, task: Task, outcome: Outcome, ms: float, *, counts: bool, requests: int = 1) -> None:
        if isinstance(outcome, Split):
            self._end(task, outcome, ms)
        else:
            super()._settle(task, outcome, ms, counts=counts, requests=requests)

    def _decide(self, task: Task, outcome: Outcome, requests: int) -> Again | Verdict:
        # What is wrong with the content is as wrong the next time, whatever else the status means.
        return Verdict.FINAL if self._is_refused(outcome) else super()._decide(task, outcome, requests)

    def _is_refused(self, outcome: Outcome) -> bool:
        """Tell whether an answer says that something in the batch is wrong, and not with the server."""
        if outcome.kind is Kind.API_ERROR:
            return not outcome.is_passing
        is_status = outcome.kind is Kind.HTTP_ERROR and outcome.status in self._refused_statuses
        return is_status and outcome.retry_after_s is None

    def _end(self, task: Task, outcome: Outcome, ms: float) -> None:
        batch = cast("BatchTask", task)
        is_refused = self._is_refused(outcome)
        if self._is_wrong(batch, outcome, is_refused=is_refused):
            # What was refused for the batch's sake stays without outcome: the next try asks for it again.
            self._work.finish()
            return
        if is_refused and batch.size > 1:
            if self._budget.take() and self._budget.take():
                self._queue.halve(batch)
                return
            if outcome.failure is not None:
                text = f"{outcome.failure.message}; the retry budget was used up, so the batch wasn't divided"
                outcome = replace(outcome, failure=replace(outcome.failure, message=text))
        self._end_members(batch, outcome, ms)
        if self._is_long(outcome):
            self._stop(LongPause(outcome.retry_after_s or 0.0))

    def _is_wrong(self, batch: BatchTask, outcome: Outcome, *, is_refused: bool) -> bool:
        """Note an answer; tell whether all batches are wrong, and the fetch stops."""
        is_answer = is_refused or isinstance(outcome, Split)
        if self._watch is None or not is_answer:
            return False
        if not self._watch.add(is_whole=not batch.is_part, is_refused=is_refused):
            return False
        text = words_of(outcome.failure, kind=outcome.kind, status=outcome.status) if outcome.failure else ""
        self._stop(BatchesRefused(self._watch.batches, self._watch.refused, self._rules.hide(text)))
        return True

    def _end_members(self, batch: BatchTask, outcome: Outcome, ms: float) -> None:
        outcomes = outcome.outcomes if isinstance(outcome, Split) else [outcome] * batch.size
        ended = [
            (index, parameter, batch.unsent.get(index, own))
            for (index, parameter), own in zip(batch.members, outcomes, strict=True)
        ]
        attempts = batch.before + batch.attempt
        self._write([Record.of(index, parameter, self._hidden(own), attempts, ms) for index, parameter, own in ended])
        self._work.finish()
        for _, _, own in ended:
            self._meter.ended(own.kind)
            if not batch.judged:
                self._judge(own)

    def _judge(self, outcome: Outcome, many: int = 1) -> None:
        # One by one: the canary is looked at when exactly all of it has ended.
        for _ in range(many):
            super()._judge(outcome)


def settlement_of(request: Request | None, *, is_proven: bool) -> Callable[..., Settlement]:
    """Return what makes the settlement of a fetch.

    :param is_proven: whether an earlier try of the task has had good outcomes.
    """
    if request is None or request.batch is None:
        return Settlement
    return partial(BatchSettlement, batch=request.batch, is_proven=is_proven)
