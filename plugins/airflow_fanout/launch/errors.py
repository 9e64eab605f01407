"""What can go wrong with the engine's process, and with what is sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class TooFewFiles(FanoutError):
    """The limit on open files can't carry the concurrency."""

    concurrency: int
    needed: int
    limit: int
    possible: int

    def __str__(self) -> str:
        lower = f"Set concurrency to at most {self.possible}, or raise" if self.possible else "Raise"
        return (
            f"A concurrency of {self.concurrency} needs {self.needed} open files, but this worker allows {self.limit}. "
            f"{lower} the worker's limit (ulimit -n)."
        )


@dataclass(eq=False)
class EngineDied(FanoutError):
    """The engine's process ended without having said that it is done."""

    retry: ClassVar[bool] = True

    how: str
    last_words: str

    def __str__(self) -> str:
        said = f" Its last output was: {self.last_words}" if self.last_words else ""
        return (
            f"The engine {self.how} before its work was done. Its results so far are in the journal; "
            f"the next try requests only the rest.{said}"
        )


@dataclass(eq=False)
class EngineStopped(FanoutError):
    """Somebody asked the engine to stop."""

    retry: ClassVar[bool] = True

    done: int
    total: int

    sentence: ClassVar[str] = (
        "The fetch was stopped after {done:,} of {total:,} parameters. "
        "Their outcomes are in the journal; the next try requests only the rest."
    )


@dataclass(eq=False)
class BudgetWait(FanoutError):
    """The API's budget lets nothing through for longer than the task keeps its worker slot.

    `seconds` is how long, `waits_for` what for. `done` of the `total` parameters have their outcome. `has_moved` is
    False if requests were sent in this execution of the task, and no parameter has come to its end.
    """

    retry: ClassVar[bool] = True

    seconds: float
    waits_for: str
    done: int
    total: int
    has_moved: bool = True

    sentence: ClassVar[str] = (
        "The API's budget lets nothing through for {seconds:,.0f} s: the task waits for {waits_for}. {done:,} of "
        "{total:,} parameters are in the journal; the task requests the rest after the wait."
    )


class LongWait(BudgetWait):
    """The API asked us to wait, for longer than the task keeps its worker slot."""

    sentence: ClassVar[str] = (
        "The API asked us to wait {seconds:,.0f} s. {done:,} of {total:,} parameters are in "
        "the journal; the task requests the rest after the wait."
    )


@dataclass(eq=False)
class QuotaTooSmall(FanoutError):
    """Between several renewals of the quota, requests were sent, and no parameter has come to its end."""

    waits_for: str
    times: int

    sentence: ClassVar[str] = (
        "No parameter came to its end between the last {times} renewals, although requests were sent. A parameter "
        "begins again after each of them, so one with more requests (pages, calls of a function) than the quota allows "
        "never ends. The task waited for {waits_for}. Give the report a larger part of the quota, or split its "
        "parameters into smaller ones, then clear this task."
    )


@dataclass(eq=False)
class Superseded(FanoutError):
    """A newer try of the same fetch has begun."""

    sentence: ClassVar[str] = (
        "A newer try of this fetch has begun, so this one stopped: its results would no longer count. "
        "There is nothing to do. Follow the newer try."
    )


@dataclass(eq=False)
class Tripped(FanoutError):
    """The breaker stopped the run, because the rest would have failed, too.

    `cause` names the most frequent failure ("HTTP 404"), `of_cause` counts it; `total` are the parameters that this try
    was about, `begun` those of them for which a request was sent, and `under_way` what of these has no outcome.
    """

    sample: int
    failed: int
    of_cause: int
    cause: str
    fix: str
    total: int
    begun: int
    under_way: int
    transient: bool

    @property
    def retry(self) -> bool:  # type: ignore[override] # it depends on the cause here
        """Whether trying again later can help."""
        return self.transient

    def __str__(self) -> str:
        share = f"all {self.failed:,} failed" if self.failed == self.sample else f"{self.failed:,} failed"
        most = "" if self.of_cause == self.failed else f"{self.of_cause:,} of them "
        rest = self.total - self.begun
        left = f" The other {rest:,} were not requested." if rest > 0 else ""
        lost = f" {self.under_way:,} more were in flight and have no outcome." if self.under_way else ""
        too = f"If it also fails, {self.fix[:1].lower()}{self.fix[1:]}."
        on = f"The next try of this task requests the rest. {too}"
        then = on if self.transient else f"{self.fix}, then clear this task."
        return (
            f"Stopped after {self.sample:,} of {self.total:,} parameters: {share}, {most}with {self.cause}."
            f"{left}{lost} {then}"
        )


@dataclass(eq=False)
class NotStarted(FanoutError):
    """The first requests failed for a cause that waiting doesn't fix."""

    requests: int
    problem: str
    fix: str

    sentence: ClassVar[str] = (
        "The fetch ended after {requests} request(s), before the API gave a first answer: {problem}. "
        "{fix}, then clear this task."
    )


@dataclass(eq=False)
class ApiDown(FanoutError):
    """The API gave no answer for longer than `outage_s`."""

    retry: ClassVar[bool] = True

    seconds: float
    reason: str
    done: int
    total: int

    sentence: ClassVar[str] = (
        "The API gave no answer for {seconds:,.0f} s ({reason}). The fetch stopped after {done:,} "
        "of {total:,} parameters. Their outcomes are in the journal; the next try requests only the rest."
    )


@dataclass(eq=False)
class EngineBlocked(FanoutError):
    """Calls of the report's function have ended one engine after the other."""

    times: int
    parameter: str
    why: str

    sentence: ClassVar[str] = (
        "Calls of the report's function have ended {times} engines of this try, so it stopped. The last one "
        "was the call for parameter {parameter}: {why} The results so far are in the journal. Fix the "
        "function, then clear this task."
    )


@dataclass(eq=False)
class EngineFailed(FanoutError):
    """The engine met an error of its own, such as a full disk."""

    retry: ClassVar[bool] = True

    kind: str
    message: str
    details: str

    def __str__(self) -> str:
        said = (
            f"The engine failed: {self.kind}: {self.message}. The results so far are in the journal; the next try "
            "requests only the rest."
        )
        return f"{said}\n{self.details}".rstrip()


@dataclass(eq=False)
class BatchRefused(FanoutError):
    """The API refuses the batches themselves, and not single parameters in them."""

    batches: int
    refused: int
    said: str
    done: int
    total: int
    sentence: ClassVar[str] = (
        "Stopped after {done:,} of {total:,} parameters: the API refused {refused} of the first {batches} batches "
        "({said}), so the batch itself is wrong, not a parameter in it. Compare the request's body or query, and the "
        "size of its `batch`, with what the API takes, then clear this task."
    )


@dataclass(eq=False)
class EngineRefused(FanoutError):
    """The engine can't do its job, and no other try of it could; `text` is the cause's own sentence."""

    text: str

    sentence: ClassVar[str] = "{text}"
