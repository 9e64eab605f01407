"""wrk: how fast the server is, when nearly nothing is done with its answers."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile

from bench.asked import FIRST
from bench.programs import path_of
from bench.sample import Sample

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def sample(base: str, *, concurrency: int, seconds: float) -> Sample:
    """Run wrk with one thread for this number of seconds, at least one; raise NotInstalled if it is missing."""
    whole = max(round(seconds), 1)
    command = [path_of("wrk"), "-t1", f"-c{concurrency}", f"-d{whole}", "--latency", f"{base}/{FIRST}"]
    with tempfile.TemporaryFile("w+") as output:
        running = subprocess.Popen(command, stdout=output)
        _, code, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(code)
        output.seek(0)
        return parsed(output.read(), cpu_s=used.ru_utime + used.ru_stime)


def parsed(output: str, *, cpu_s: float) -> Sample:
    """Read what wrk prints; raise AssertionError when some of the answers were bad."""
    if "Non-2xx" in output or "Socket errors" in output:
        raise AssertionError(f"wrk met errors:\n{output}")
    total = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if total is None:
        raise AssertionError(f"wrk said nothing of its requests:\n{output}")
    return Sample(
        requests=int(total[1]),
        seconds=float(total[2]),
        cpu_s=cpu_s,
        p50_ms=_latency_ms(output, 50),
        p99_ms=_latency_ms(output, 99),
    )


def _latency_ms(output: str, percent: int) -> float | None:
    found = re.search(rf"^ +{percent}% +([\d.]+)(us|ms|s)$", output, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else None
