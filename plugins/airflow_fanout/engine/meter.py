"""Counts what the engine does, as it does it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from airflow_fanout.model.latency import Histogram
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.waits import Wait

# The reported rate covers this number of seconds.
RECENT_S = 10.0
GOOD = (Kind.OK, Kind.NULL)


class Meter:
    """The running counts behind `Progress`.

    `ended_s` is the moment, to a second, at which a parameter has had its outcome last; at first, the beginning.
    """

    def __init__(self, *, total: int, resumed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._resumed = resumed
        self._kinds: Counter[str] = Counter({Kind.OK: resumed} if resumed else {})
        self._failures: Counter[str] = Counter()
        self._requests = 0
        self._latency = Histogram()
        self._clock = clock
        self._begun = clock()
        self.ended_s = self._begun
        self._last_done = 0
        self._moments: deque[tuple[float, int]] = deque([(self._begun, 0)])

    def sent(self, ms: float, outcome: Outcome | None = None) -> None:
        """Count an attempt that has ended, however it ended.

        :param outcome: what came of it, if a request's outcome is a parameter's.
        """
        self._requests += 1
        self._latency.add(ms)
        if outcome is not None:
            self.failed(outcome)

    def failed(self, outcome: Outcome) -> None:
        """Count an attempt that has failed, by its kind and status; a good one is passed over."""
        if outcome.kind not in GOOD:
            self._failures[f"{outcome.kind} {outcome.status}" if outcome.status else str(outcome.kind)] += 1

    def answered(self, latencies_ms: Sequence[float]) -> None:
        """Count parameters that have their results, each by the attempt that has ended."""
        self._requests += len(latencies_ms)
        self._latency.extend(latencies_ms)
        self._kinds[Kind.OK] += len(latencies_ms)

    def ended(self, kind: Kind) -> None:
        """Count a parameter that has its outcome."""
        self._kinds[kind] += 1

    def tick(self) -> None:
        """Remember how much is done at this moment; called about once a second."""
        now, done = self._clock(), self._done
        if done != self._last_done:
            self._last_done, self.ended_s = done, now
        self._moments.append((now, done))
        while now - self._moments[0][0] > RECENT_S and len(self._moments) > 1:
            self._moments.popleft()

    @property
    def _done(self) -> int:
        return self._kinds.total() - self._resumed

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return self._clock() - self._begun

    def progress(
        self,
        *,
        in_flight: int,
        waiting: int,
        begun: int = 0,
        limits: dict[str, Any] | None = None,
        wait: Wait | None = None,
    ) -> Progress:
        """Return the counts of this moment."""
        since, done = self._moments[0]
        recent_s = self._clock() - since
        return Progress(
            total=self._total,
            kinds=self._kinds,
            resumed=self._resumed,
            requests=self._requests,
            in_flight=in_flight,
            waiting=waiting,
            begun=begun,
            seconds=self.seconds,
            recent_per_s=(self._done - done) / recent_s if recent_s > 0 else 0.0,
            wait=wait,
            latency=self._latency,
            limits=limits or {},
            failures=self._failures,
        )


class ConnectionMeter(Meter):
    """Counts what comes of one connection's parameters, in a meter for all of them and by itself.

    :param whole: the meter for all.

    `done` is how many parameters have their outcome.
    """

    def __init__(self, whole: Meter) -> None:
        super().__init__(total=0, resumed=0)
        self._whole = whole

    @property
    def done(self) -> int:
        """How many parameters of this connection have their outcome."""
        return self._done

    def sent(self, ms: float, outcome: Outcome | None = None) -> None:
        """Count an attempt that has ended, however it ended."""
        self._whole.sent(ms, outcome)

    def failed(self, outcome: Outcome) -> None:
        """Count an attempt that has failed."""
        self._whole.failed(outcome)

    def answered(self, latencies_ms: Sequence[float]) -> None:
        """Count parameters that have their results, each by the attempt that has ended."""
        self._kinds[Kind.OK] += len(latencies_ms)
        self._whole.answered(latencies_ms)

    def ended(self, kind: Kind) -> None:
        """Count a parameter that has its outcome."""
        super().ended(kind)
        self._whole.ended(kind)
