"""One peer in a fresh process: `python -m bench.peers NAME JSON` prints its sample as JSON."""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable

from bench.asked import Asked
from bench.sample import Sample, peak_mb, quantile

# They begin with gevent's patch, as their scripts do.
PATCHED = frozenset({"classic", "shared_session"})


def main() -> None:
    """Import the peer, then measure it."""
    name, asked = sys.argv[1], Asked(**json.loads(sys.argv[2]))
    if name in PATCHED:
        from gevent import monkey

        monkey.patch_all()
    fetch = importlib.import_module(f"bench.peers.{name}").fetch
    print(json.dumps(measured(fetch, asked).as_json()))


def measured(fetch: Callable[[Asked], list[float]], asked: Asked) -> Sample:
    """Run a peer's fetch; raise AssertionError unless it has an answer for each request."""
    cpu_s, begun = _cpu_s(), time.perf_counter()
    latencies = fetch(asked)
    seconds, spent_s = time.perf_counter() - begun, _cpu_s() - cpu_s
    if len(latencies) != asked.count:
        raise AssertionError(f"{len(latencies)} answers to {asked.count} requests")
    return Sample(
        requests=asked.count,
        seconds=seconds,
        cpu_s=spent_s,
        peak_mb=peak_mb(),
        p50_ms=quantile(latencies, 0.5),
        p99_ms=quantile(latencies, 0.99),
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
