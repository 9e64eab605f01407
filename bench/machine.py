"""The machine of a run: its cores, and what to say about it beside the numbers."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.programs import found

PACKAGES = (
    *("apache-airflow", "apache-airflow-providers-http", "aiohttp", "gevent", "httpx", "msgspec", "orjson"),
    *("pycurl", "pymongo", "requests", "urllib3", "uvloop"),
)


class TooFewCores(RuntimeError):
    """There is one core only, which client and server would have to share."""

    def __str__(self) -> str:
        return "The benchmark needs two cores, one for the server and one for the client; this process may use one."


@dataclass(frozen=True)
class Cores:
    """Which core is whose.

    :param server: the server's.
    :param client: that of a client with one process.
    :param several: those of a client with several: all but the server's, or both where there are only two.
    """

    server: int
    client: int
    several: frozenset[int]

    @classmethod
    def of(cls, usable: set[int]) -> Cores:
        """Share out the cores that this process may use; raise TooFewCores if there is only one."""
        if len(usable) < 2:
            raise TooFewCores
        *others, server = sorted(usable)
        return cls(server, others[0], frozenset(others if len(others) > 1 else usable))

    @property
    def are_left_to_two(self) -> bool:
        """Whether two processes have a core each beside the server's."""
        return self.server not in self.several


def description() -> list[str]:
    """Return lines about the machine and the versions: what a reader has to know to compare numbers."""
    return [
        f"{_processor()}, {len(os.sched_getaffinity(0))} cores usable, {_gigabytes():.0f} GB; Linux {_kernel()}",
        f"Python {platform.python_version()}; " + ", ".join(f"{package} {version(package)}" for package in PACKAGES),
        "; ".join(filter(None, (_libcurl(), _nginx()))),
    ]


def _processor() -> str:
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _kernel() -> str:
    # What a distributor appends to it says more about a provider than about speed.
    return platform.release().partition("-")[0]


def _gigabytes() -> float:
    return float(psutil.virtual_memory().total) / (1 << 30)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _libcurl() -> str:
    import pycurl

    return str(pycurl.version).split()[1]


def _nginx() -> str:
    program = found("nginx")
    if program is None:
        return ""
    return subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr.strip().split()[-1]
