from __future__ import annotations

import pytest

from airflow_fanout.engine.meter import ConnectionMeter, Meter
from airflow_fanout.model.outcome import Kind, Outcome


def test_meter_counts_outcomes_and_attempts() -> None:
    """Outcomes count by kind, attempts as requests with their latency, time from the meter's making."""
    now = 10.0
    meter = Meter(total=5, resumed=2, clock=lambda: now)
    for ms in (10, 20, 30):
        meter.sent(ms)
    meter.ended(Kind.OK)
    meter.ended(Kind.TIMEOUT)
    now = 14.0
    progress = meter.progress(in_flight=1, waiting=0)
    assert (progress.total, progress.resumed, progress.done, progress.requests) == (5, 2, 4, 3)
    assert progress.kinds == {"ok": 3, "timeout": 1}
    assert (progress.seconds, progress.rate_per_s) == (4.0, 0.5)
    assert progress.latency.quantile(0.5) == pytest.approx(20, rel=0.2)


def test_failed_attempts_are_counted_by_their_cause() -> None:
    """By kind and status, for a connection by itself in the meter of all; what is good isn't counted."""
    meter = Meter(total=5, resumed=0)
    busy, null = Outcome(Kind.HTTP_ERROR, status=503), Outcome(Kind.NULL, status=204)
    for outcome in (busy, null, busy, Outcome(Kind.TIMEOUT), Outcome(Kind.OK, result=1)):
        meter.sent(1.0, outcome)
    connection = ConnectionMeter(meter)
    connection.sent(1.0, busy)
    connection.failed(Outcome(Kind.TIMEOUT))
    failures = meter.progress(in_flight=0, waiting=0).failures
    assert failures == {"http_error 503": 3, "timeout": 2}


def test_nothing_resumed_is_no_kind() -> None:
    """A fetch that begins from nothing has no kinds yet."""
    assert Meter(total=5, resumed=0).progress(in_flight=0, waiting=0).kinds == {}
