"""What the numbers must show, and whether they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bench.cases import LATENCY_MS, LISTS
from bench.clients import (
    CURL_EPOLL,
    CURL_MULTI,
    FANOUT,
    FANOUT_FUNCTION,
    FANOUT_REQUESTS,
    FANOUT_REQUESTS_TWO,
    FANOUT_TWO,
    SHARED_SESSION,
    THREADS,
    UVLOOP,
    Client,
)
from bench.row import Row

FEW, MANY = LISTS[0], LISTS[-1]
MOST_MORE_MB = 30.0
MOST_SLOWER = 1.10
AIRFLOW_FETCH = "airflow-fetch"
AIRFLOW_RUN = "airflow-run"
# How bench.load and bench.scale call what is measured there.
TASKS = "airflow-fanout"
SCALE = "scale: "
STEPS = ("extract", "validate", "load")
LEAST_VALIDATED_PER_S = 100_000
IN_AIRFLOW = ("fanout", "mapped HttpOperator", "task with threads")


@dataclass(frozen=True)
class Aim:
    """An aim, what was found, and whether that meets it; `None` where this run can't tell."""

    text: str
    found: str
    met: bool | None


class Ratio(NamedTuple):
    """One client's rate must be at least a multiple of another's."""

    case: str
    client: str
    other: str
    least: float

    @property
    def text(self) -> str:
        """The aim in words."""
        return f"{self.case}: {self.client} at least {self.least:g} × {self.other}"


def _ratio(case: str, client: Client, other: Client, least: float) -> Ratio:
    return Ratio(case, client.name, other.name, least)


RATIOS = (
    _ratio("plain", FANOUT, THREADS, 15),
    _ratio("plain", FANOUT, UVLOOP, 3),
    _ratio("plain", FANOUT, CURL_EPOLL, 1),
    _ratio("plain", FANOUT, CURL_MULTI, 1),
    _ratio("tls-h1", FANOUT, THREADS, 15),
    _ratio("plain", FANOUT_FUNCTION, SHARED_SESSION, 2),
    # By requests the server needs a hundredth of a core, and leaves them the rest.
    _ratio("plain", FANOUT_REQUESTS_TWO, FANOUT_REQUESTS, 1.8),
    Ratio("load, new", TASKS, "bulk_write", 0.8),
    Ratio("load, again", TASKS, "bulk_write", 0.8),
    Ratio(AIRFLOW_FETCH, IN_AIRFLOW[0], IN_AIRFLOW[1], 50),
)
TWO = _ratio("plain", FANOUT_TWO, FANOUT, 1.8)
# By concurrency: the share of what the latency allows, and whether p99 stays below twice the latency.
SHARES = {100: (0.95, True), 300: (0.90, True), 1000: (0.70, False)}

Found = Mapping[tuple[str, str], Row]


def aims(rows: Iterable[Row], *, cores_for_two: bool) -> list[Aim]:
    """Return every aim with what the rows say of it.

    :param cores_for_two: whether two processes had a core each beside the server's.
    """
    found = {(row.case, row.client): row for row in rows}
    return [
        *(ratio_aim(ratio, found) for ratio in RATIOS),
        _two(found, cores_for_two=cores_for_two),
        *(aim for concurrency in SHARES for aim in _latency(concurrency, found)),
        *_growth("fetch", *(found.get((f"parameters-{count}", FANOUT.name)) for count in (FEW, MANY))),
        *(aim for step in STEPS for aim in _growth(step, *(_scaled(step, count, found) for count in (FEW, MANY)))),
        _together(found),
        _validated(_scaled("validate", MANY, found)),
    ]


def ratio_aim(ratio: Ratio, found: Found) -> Aim:
    """Return the aim of a ratio: judged by the rates, told by processor time, too."""
    ours, theirs = found.get((ratio.case, ratio.client)), found.get((ratio.case, ratio.other))
    if not (ours and theirs and ours.rate_per_s and theirs.rate_per_s):
        return Aim(ratio.text, "not measured", None)
    by_rate = ours.rate_per_s / theirs.rate_per_s
    by_cpu = f", {theirs.cpu_us / ours.cpu_us:.2f} × by processor time" if ours.cpu_us and theirs.cpu_us else ""
    return Aim(ratio.text, f"{by_rate:.2f} ×{by_cpu}", by_rate >= ratio.least)


def _two(found: Found, *, cores_for_two: bool) -> Aim:
    aim = ratio_aim(TWO, found)
    if cores_for_two or aim.met is None:
        return aim
    return Aim(aim.text, f"{aim.found}; the server shares their cores", None)


def _latency(concurrency: int, found: Found) -> Iterator[Aim]:
    least, has_p99 = SHARES[concurrency]
    row = found.get((f"latency-{concurrency}", FANOUT.name))
    at_once = f"{LATENCY_MS:g} ms, {concurrency:,} at once"
    text = f"{at_once}: at least {least:.0%} of {concurrency / LATENCY_MS * 1000:,.0f}/s"
    if not (row and row.rate_per_s):
        yield Aim(text, "not measured", None)
        return
    share = row.rate_per_s * LATENCY_MS / 1000 / concurrency
    yield Aim(text, f"{share:.1%}", share >= least)
    if has_p99 and row.p99_ms:
        yield Aim(f"{at_once}: p99 below {2 * LATENCY_MS:g} ms", f"{row.p99_ms:.1f} ms", row.p99_ms < 2 * LATENCY_MS)


def _growth(step: str, few: Row | None, many: Row | None) -> Iterator[Aim]:
    memory = f"{step}: the peak for {MANY:,} parameters at most {MOST_MORE_MB:g} MB above that for {FEW:,}"
    time = f"{step}: the time per parameter for {MANY:,} at most {MOST_SLOWER - 1:.0%} above that for {FEW:,}"
    if not (few and many and few.rate_per_s and many.rate_per_s and few.peak_mb and many.peak_mb):
        yield from (Aim(text, "not measured", None) for text in (memory, time))
        return
    more_mb, slower = many.peak_mb - few.peak_mb, few.rate_per_s / many.rate_per_s
    yield Aim(memory, f"{more_mb:+.1f} MB", more_mb <= MOST_MORE_MB)
    yield Aim(time, f"{slower - 1:+.1%}", slower <= MOST_SLOWER)


def _together(found: Found) -> Aim:
    text = f"all four: the time per parameter for {MANY:,} at most {MOST_SLOWER - 1:.0%} above that for {FEW:,}"
    few, many = (_us_each(count, found) for count in (FEW, MANY))
    if few is None or many is None:
        return Aim(text, "not measured", None)
    return Aim(text, f"{few:.1f} µs and {many:.1f} µs, {many / few - 1:+.1%}", many / few <= MOST_SLOWER)


def _us_each(count: int, found: Found) -> float | None:
    rows = (found.get((f"parameters-{count}", FANOUT.name)), *(_scaled(step, count, found) for step in STEPS))
    rates = [row.rate_per_s for row in rows if row and row.rate_per_s]
    return sum(1e6 / rate for rate in rates) if len(rates) == len(rows) else None


def _scaled(step: str, count: int, found: Found) -> Row | None:
    return found.get((f"{SCALE}{step} {count:,}", TASKS))


def _validated(row: Row | None) -> Aim:
    text = f"validate: at least {LEAST_VALIDATED_PER_S:,} records/s"
    if not (row and row.rate_per_s):
        return Aim(text, "not measured", None)
    return Aim(text, f"{row.rate_per_s:,.0f}/s", row.rate_per_s >= LEAST_VALIDATED_PER_S)
