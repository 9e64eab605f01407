"""What a fetch has done so far, as counts: told each second, added up over shards, summed up at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from airflow_fanout.model.budget_status import BudgetStatus
from airflow_fanout.model.latency import Histogram
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.waits import Wait, of_all


class Progress(msgspec.Struct, frozen=True):
    """A fetch at one moment.

    :param total: the parameters that it is about.
    :param kinds: how many have ended, by kind of outcome; `resumed` of the good ones by an earlier try.
    :param begun: the parameters that this try has begun, whether they have ended or not.
    :param requests: the requests sent, repeated ones included.
    :param seconds: the engine's own wall time.
    :param recent_per_s: parameters ended per second, in the last seconds.
    :param wait: what is waited for, if nothing moves.
    :param latency: the histogram of the attempts' durations.
    :param limits: what the throttle allows at this moment.
    :param failures: how many attempts have failed, by kind and status, whether they were repeated or not.
    :param budget: the budget that the fetch shares with others; only the engines' parent knows it.
    """

    total: int
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    resumed: int = 0
    requests: int = 0
    in_flight: int = 0
    waiting: int = 0
    begun: int = 0
    seconds: float = 0.0
    recent_per_s: float = 0.0
    wait: Wait | None = None
    latency: Histogram = msgspec.field(default_factory=Histogram)
    limits: dict[str, Any] = {}
    failures: Counter[str] = msgspec.field(default_factory=Counter)
    budget: BudgetStatus | None = None

    @classmethod
    def sum(cls, parts: Sequence[Progress]) -> Progress:
        """Return the progress of several processes that share one fetch."""
        latency = Histogram()
        for part in parts:
            latency.merge(part.latency)
        return cls(
            total=sum(part.total for part in parts),
            kinds=sum((part.kinds for part in parts), Counter()),
            resumed=sum(part.resumed for part in parts),
            requests=sum(part.requests for part in parts),
            in_flight=sum(part.in_flight for part in parts),
            waiting=sum(part.waiting for part in parts),
            begun=sum(part.begun for part in parts),
            seconds=max((part.seconds for part in parts), default=0.0),
            recent_per_s=sum(part.recent_per_s for part in parts),
            wait=of_all([part.wait for part in parts if part.done < part.total]),
            latency=latency,
            limits=sum_of_limits([part.limits for part in parts]),
            failures=sum((part.failures for part in parts), Counter()),
        )

    def after(self, before: Progress) -> Progress:
        """Return this progress of a process that has taken another one's place, with what that one had done."""
        latency = Histogram()
        for part in (before.latency, self.latency):
            latency.merge(part)
        return replace(
            self,
            resumed=before.resumed,
            # What the other one has done after it told of itself last is known by the outcomes only.
            requests=max(before.requests + self.requests, self.done - before.resumed),
            begun=self.done - before.resumed + self.in_flight + self.waiting,
            seconds=before.seconds + self.seconds,
            latency=latency,
            failures=before.failures + self.failures,
        )

    @property
    def done(self) -> int:
        """The parameters that have their outcome."""
        return self.kinds.total()

    @property
    def rate_per_s(self) -> float:
        """Parameters ended by this try, per second of all its time."""
        return (self.done - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """How long the rest takes at the rate of the last seconds; `None` while something is waited for."""
        return (self.total - self.done) / self.recent_per_s if self.recent_per_s > 0 and not self.wait else None

    def summary(self) -> dict[str, Any]:
        """Return the few numbers that people want, as plain JSON: for XCom, for the log, for the report page."""
        return {
            "parameters": self.total,
            "done": self.done,
            "ok": self.kinds[Kind.OK],
            "kinds": {kind.value: self.kinds[kind] for kind in Kind if self.kinds[kind]},
            "resumed": self.resumed,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "rate_per_s": round(self.rate_per_s, 1),
            **{f"p{share}_ms": self.latency.quantile(share / 100) for share in (50, 95, 99)},
            **({"limits": self.limits} if self.limits else {}),
        }

    def now(self) -> dict[str, Any]:
        """Return the summary of a fetch that goes on: its rate is that of the last seconds."""
        return {
            **self.summary(),
            "rate_per_s": round(self.recent_per_s, 1),
            "left_s": None if self.left_s is None else round(self.left_s),
            "in_flight": self.in_flight,
            "waiting": self.waiting,
            "waits_for": str(self.wait) if self.wait else None,
            **({"wait": self.wait.plain()} if self.wait else {}),
            **({"budget": self.budget.plain()} if self.budget else {}),
        }

    def line(self) -> str:
        """Return one line for the log."""
        bad = ", ".join(f"{self.kinds[kind]:,} {kind}" for kind in Kind if kind is not Kind.OK and self.kinds[kind])
        left = "" if self.left_s is None else f", {self.left_s:,.0f} s left"
        rate = "" if self.wait else f", {self.recent_per_s:,.{0 if self.recent_per_s >= 10 else 1}f}/s{left}"
        waits = f"; waits: {self.wait}" if self.wait else ""
        # Rounded down: 999,999 of 1,000,000 are not yet 100 %.
        percent = f"{1000 * self.done // self.total / 10:.1f} %" if self.total else "100 %"
        return (
            f"{self.done:,} of {self.total:,} ({percent}){rate}, "
            f"{self.in_flight} in flight, {self.waiting} waiting for another request{'; ' + bad if bad else ''}{waits}"
        )


def sum_of_limits(limits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the limits of what shares a fetch as those of the whole: of this moment, or, at the end, over time."""
    # A process that is at its end tells its history; while others are under way, only they have limits.
    if now := [limit for limit in limits if "limit" in limit]:
        return _sum_of_moments(now)
    histories = [limit["over_time"] for limit in limits if limit.get("over_time")]
    if not histories:
        return {}
    # Each process remembers moments of its own: at each of the longest history's, the last that the others know.
    longest = max(histories, key=lambda history: history[-1]["s"])
    over_time = []
    for s in [moment["s"] for moment in longest]:
        known = [_moment_at(s, history) for history in histories]
        over_time.append({"s": s, **_sum_of_moments([moment for moment in known if moment is not None])})
    return {"over_time": over_time}


def _sum_of_moments(moments: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rates = [moment["rate_limit_per_s"] for moment in moments]
    return {
        "limit": sum(moment["limit"] for moment in moments),
        # One that is free to send as it likes makes all of them free.
        "rate_limit_per_s": None if None in rates else round(sum(rates), 1),
        "paused_s": max(moment["paused_s"] for moment in moments),
        "outage": any(moment["outage"] for moment in moments),
        **({"refuses": True} if any(moment.get("refuses") for moment in moments) else {}),
    }


def _moment_at(s: float, history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the last moment that a process remembers at `s` seconds; `None` if it had ended before."""
    last_s = history[-1]["s"]
    step_s = last_s - history[-2]["s"] if len(history) > 1 else 1.0
    # Another moment is overdue by half of the time between two: the process has ended, and others may have its share.
    if s > last_s + 1.5 * step_s:
        return None
    return next((moment for moment in reversed(history) if moment["s"] <= s), history[0])
