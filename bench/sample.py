"""What one run of a client came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

STATUS = "VmHWM:"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A client's run: requests and wall time, processor time, memory, latencies.

    :param seconds: the wall time of the requests alone, without the start of an interpreter.
    :param started_s: the wall time from the decision to start to the last result; `None` where nobody asks.
    :param cpu_s: processor time of the requests, user and system; `None` where it is unknown.
    :param peak_mb: the most memory that was resident at a time, start included.
    """

    requests: int
    seconds: float
    started_s: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def rate_per_s(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float | None:
        """Microseconds of processor time for a request."""
        return None if self.cpu_s is None else self.cpu_s / self.requests * 1e6

    def as_json(self) -> dict[str, Any]:
        """Return the sample as plain JSON; `Sample(**json)` is its inverse."""
        return asdict(self)


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value that `share` of the values don't exceed; `None` without values."""
    if not values:
        return None
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def peak_mb(pid: int | str = "self") -> float:
    """Return the most memory that a process has had resident, in MB; 0 if it is gone.

    From the kernel's own mark of this program: what `getrusage` tells counts the parent before `exec`, too.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(STATUS)) / 1024
