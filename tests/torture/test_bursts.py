"""Refusals that come in bursts, in simulated time."""

from __future__ import annotations

from airflow_fanout.control.throttle import Limiter
from airflow_fanout.model.outcome import Outcome
from airflow_fanout.model.settings import Throttle
from tests.control.server import OK, REFUSED, Server, simulate

LATENCY_S = 0.05


def bursts(every: int, length: int) -> Server:
    """Return a server that refuses so many requests in a row of each so many, whatever their rate."""
    asked = 0

    def answer(_now: float, _in_flight: int) -> tuple[float, Outcome]:
        nonlocal asked
        asked += 1
        return LATENCY_S, REFUSED if asked % every >= every - length else OK

    return answer


def test_bursts_of_refusals_are_no_rate() -> None:
    """A burst costs its pauses, not the rate: what a server refuses one after the other tells it once.

    Each burst of 50 costs about three pauses of a second; between two of them there are 2,000 requests.
    """
    seen = simulate(Limiter(Throttle(), 32), bursts(every=2_000, length=50), seconds=120.0)
    possible = 120.0 * 32 / LATENCY_S
    print(f"\n{seen.ok} ok in 120 s, {seen.ok / possible:.0%} of what is possible without a refusal")
    assert seen.ok / possible > 0.3
