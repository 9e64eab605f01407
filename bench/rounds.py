"""Rounds: each client of each case once, in a new order, in a fresh process."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from bench import wrk
from bench.asked import Asked
from bench.cases import Case, ServerName
from bench.clients import Client
from bench.machine import Cores
from bench.sample import Sample

# The first trial, which warms up and shows how many requests fit into a sample.
TRIAL = 500
# A trial that was this much shorter than a sample says too little.
TOO_SHORT = 0.25
# No trial is this much longer than the one before: a rate may fall with the number of requests.
MOST_AT_ONCE = 20
PATIENCE_S = 600.0


class Server(NamedTuple):
    """A server's address, and the file of the authority that vouches for it."""

    base: str
    authority: str | None = None


class Pair(NamedTuple):
    """A client in a case."""

    case: Case
    client: Client


class ClientFailed(RuntimeError):
    """A client's process failed; ``log`` is what it wrote."""

    def __init__(self, client: str, case: str, log: str) -> None:
        super().__init__(client, case, log)
        self.client = client
        self.case = case
        self.log = log

    def __str__(self) -> str:
        return f"{self.client} failed in the case {self.case}:\n{self.log}"


class Bench:
    """Clients over running servers."""

    def __init__(self, servers: Mapping[ServerName, Server], cores: Cores, *, seconds: float | None = None) -> None:
        self._servers = servers
        self._cores = cores
        self._seconds = seconds
        self._counts: dict[tuple[str, str], int] = {}

    def sample(self, pair: Pair) -> Sample:
        """Run a client once, for as long as the case says; the first time after a trial."""
        case, client = pair
        if client.kind == "wrk":
            return self._wrk(case)
        if case.count is not None:
            return self._run(pair, case.count)
        key = (case.name, client.name)
        if key not in self._counts:
            self._counts[key] = self._tried(pair)
        done = self._run(pair, self._counts[key])
        self._counts[key] = _fitting(done, self._wanted_s(case))
        return done

    def _tried(self, pair: Pair) -> int:
        wanted_s, count = self._wanted_s(pair.case), TRIAL
        while (done := self._run(pair, count)).seconds < wanted_s * TOO_SHORT:
            count = min(_fitting(done, wanted_s), count * MOST_AT_ONCE)
        return _fitting(done, wanted_s)

    def _wanted_s(self, case: Case) -> float:
        return self._seconds or case.seconds

    def _base(self, case: Case) -> str:
        return f"{self._servers[case.server].base}/{case.size}"

    def _run(self, pair: Pair, count: int) -> Sample:
        case, client = pair
        asked = Asked(
            base=self._base(case),
            count=count,
            concurrency=case.concurrency,
            authority=self._servers[case.server].authority,
        )
        cores = self._cores.several if client.how and client.how.processes > 1 else {self._cores.client}
        try:
            done = subprocess.run(
                [*_command(client, asked)],
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_S,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
        except subprocess.TimeoutExpired:
            raise ClientFailed(client.name, case.name, f"not done after {PATIENCE_S:g} s") from None
        if done.returncode:
            raise ClientFailed(client.name, case.name, done.stderr)
        return Sample(**json.loads(done.stdout.splitlines()[-1]))

    def _wrk(self, case: Case) -> Sample:
        # It inherits the core.
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self._cores.client})
        try:
            return wrk.sample(self._base(case), concurrency=case.concurrency, seconds=self._wanted_s(case))
        finally:
            os.sched_setaffinity(0, before)


def in_rounds(cases: Sequence[Case], rounds: int, *, seed: int) -> Iterator[tuple[int, Pair]]:
    """Yield the number of each round with its clients, each round in an order of its own."""
    order = random.Random(seed)
    for number in range(1, rounds + 1):
        pairs = [Pair(case, client) for case in cases if number <= case.rounds for client in case.clients]
        order.shuffle(pairs)
        yield from ((number, pair) for pair in pairs)


def _fitting(done: Sample, seconds: float) -> int:
    return max(round(done.rate_per_s * seconds), TRIAL)


def _command(client: Client, asked: Asked) -> Iterator[str]:
    yield from (sys.executable, "-m")
    if client.how:
        yield from ("bench.engine", json.dumps(asdict(asked)), json.dumps(asdict(client.how)))
    else:
        yield from ("bench.peers", client.module, json.dumps(asdict(asked)))


def _environment() -> dict[str, str]:
    # A proxy isn't meant for this machine, and a bundle of authorities would overrule the server's own.
    return {name: value for name, value in os.environ.items() if not name.lower().endswith(("_proxy", "_ca_bundle"))}
