"""A modelled API: how long it takes, whom it refuses, and when it isn't there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from msgspec.structs import replace

from airflow_fanout.model.outcome import Failure, Kind, Outcome
from simulation.quotas import ApiQuota, QuotaCount
from simulation.tally import Tally
from simulation.world import World

OK = Outcome(Kind.OK, status=200)
UNKNOWN = Outcome(Kind.HTTP_ERROR, status=404, failure=Failure("HTTPError", "HTTP 404"))
LATE = Outcome(Kind.TIMEOUT, failure=Failure("ReadTimeout", "read timeout"))
# How long a refusal takes, in seconds.
REFUSAL_S = 0.003
# Knuth's multiplicative hash spreads the parameters that are always refused over the list.
SPREAD = 2_654_435_761


class Absence(Enum):
    """How a server is away: by what a client gets, and after how many seconds."""

    REFUSES = (0.001, Outcome(Kind.CONNECTION_ERROR, unsent=True, failure=Failure("Refused", "Connection refused")))
    UNAVAILABLE = (0.02, Outcome(Kind.HTTP_ERROR, status=503, failure=Failure("HTTPError", "HTTP 503")))
    SILENT = (30.0, LATE)


@dataclass(frozen=True)
class Away:
    """A time in which the server is away, in seconds from the beginning."""

    since_s: float
    until_s: float
    how: Absence = Absence.REFUSES


@dataclass(frozen=True, kw_only=True)
class ApiModel:
    """What an API is like.

    :param latency_s: the median time of an answer; it scatters log-normally, by `sigma`.
    :param carries: the requests that it works on at once; beyond it, all take longer in proportion.
    :param per_s: the requests that it accepts in each second of its clock; the others get 429.
    :param retry_after_s: what a 429 asks for; `None` if it doesn't say.
    :param quotas: what it carries out in a period; the others get 429, and when to come again.
    :param away: when it isn't there.
    :param slow_share: the share of requests that a slow node answers, which takes `slow_factor` as long.
    :param failing_share: the share of requests that are answered by `failing_status`.
    :param unknown_share: the share of parameters that are always answered by 404.
    :param timeout_s: a client gives a request up after this time.
    """

    latency_s: float = 0.05
    sigma: float = 0.3
    carries: int | None = None
    per_s: float | None = None
    retry_after_s: float | None = None
    quotas: Sequence[ApiQuota] = ()
    away: Sequence[Away] = ()
    slow_share: float = 0.0
    slow_factor: float = 20.0
    failing_share: float = 0.0
    failing_status: int = 500
    unknown_share: float = 0.0
    timeout_s: float = 60.0


class Api:
    """An API under load.

    `tally` counts its requests, `in_flight` are those under way, and `quotas` has what each quota has counted.
    """

    def __init__(self, world: World, model: ApiModel) -> None:
        self._world = world
        self._model = model
        self._draw = world.chance.random
        self._refusal = Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=model.retry_after_s)
        self._error = Outcome(Kind.HTTP_ERROR, status=model.failing_status, failure=Failure("HTTPError", "failing"))
        self._second = -1
        self._accepted = 0.0
        self.quotas = [QuotaCount(quota) for quota in model.quotas]
        self._is_plain = not (model.slow_share or model.failing_share or model.unknown_share)
        self.in_flight = 0
        self.tally = Tally()

    def answer(self, index: int, client: Tally) -> tuple[float, Outcome]:
        """Return after how many seconds a request for a parameter is answered, and what by.

        :param client: counts the requests of whoever has sent it.
        """
        model, now = self._model, self._world.now_s
        self.in_flight += 1
        self.tally.add(now)
        client.add(now)
        if model.away and (absence := self._absence(now)):
            return absence.value
        if model.per_s is not None and self._is_too_much(model.per_s):
            self.tally.refuse()
            client.refuse()
            return REFUSAL_S, self._refusal
        if self.quotas and (wait_s := self._sold_out_s(now)):
            self.tally.refuse()
            client.refuse()
            return REFUSAL_S, replace(self._refusal, retry_after_s=wait_s)
        takes_s = model.latency_s * self._world.chance.lognormvariate(0.0, model.sigma)
        if model.carries is not None and self.in_flight > model.carries:
            takes_s *= self.in_flight / model.carries
        if not self._is_plain:
            return self._with_faults(index, takes_s)
        return (takes_s, OK) if takes_s < model.timeout_s else (model.timeout_s, LATE)

    def left(self) -> None:
        """Note that a request has ended."""
        self.in_flight -= 1

    def _absence(self, now_s: float) -> Absence | None:
        return next((away.how for away in self._model.away if away.since_s <= now_s < away.until_s), None)

    def _sold_out_s(self, now_s: float) -> float:
        """Count a request if all quotas let it through; return how long it has to wait otherwise."""
        wait_s = max(quota.wait_s(now_s) for quota in self.quotas)
        if not wait_s:
            for quota in self.quotas:
                quota.add(now_s)
        return wait_s

    def _is_too_much(self, per_s: float) -> bool:
        """Count a request in the present second; return whether it is beyond what the second has."""
        second = int(self._world.now_s)
        if second != self._second:
            self._second, self._accepted = second, 0.0
        self._accepted += 1.0
        return self._accepted > per_s

    def _with_faults(self, index: int, takes_s: float) -> tuple[float, Outcome]:
        model, drawn = self._model, self._draw()
        if model.slow_share and self._draw() < model.slow_share:
            takes_s *= model.slow_factor
        if takes_s >= model.timeout_s:
            return model.timeout_s, LATE
        if index * SPREAD % 2**32 < model.unknown_share * 2**32:
            return takes_s, UNKNOWN
        return takes_s, self._error if drawn < model.failing_share else OK
