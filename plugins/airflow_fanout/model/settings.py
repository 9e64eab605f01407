"""What the author of a report may set about the fetch, checked where it is written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, get_args

from msgspec.structs import replace

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared

MIB = 1 << 20

Transport = Literal["auto", "curl", "requests"]


def check_at_least(field: str, value: object, least: float, unit: str = "") -> None:
    """Raise `BadSetting` unless the value is a number of at least `least`.

    :param field: the argument that is checked, for the error.
    :param unit: what the number counts, such as `seconds`.
    """
    # `inf` is no number here: JSON can't carry it to the engine.
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise BadSetting(field, value, f"a number of at least {least:g}{' ' + unit if unit else ''}")


def check_whole(field: str, value: object, unit: str = "", *, least: int = 1) -> None:
    """Raise `BadSetting` unless the value is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadSetting(field, value, f"a whole number of at least {least}{', in ' + unit if unit else ''}")


def check_statuses(field: str, value: object) -> None:
    """Raise `BadSetting` unless the value is a list or another collection of HTTP statuses."""
    if (
        isinstance(value, str)
        or not isinstance(value, Iterable)
        or not all(isinstance(each, int) and not isinstance(each, bool) and 100 <= each <= 599 for each in value)
    ):
        raise BadSetting(field, value, "HTTP statuses from 100 to 599, such as (404,)")


def check_share(field: str, value: object) -> None:
    """Raise `BadSetting` unless the value is a share from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadSetting(field, value, "a share from 0 to 1")


def check_flag(field: str, value: object) -> None:
    """Raise `BadSetting` unless the value is True or False."""
    if not isinstance(value, bool):
        raise BadSetting(field, value, "True or False")


def check_kind(field: str, value: object, kind: type, example: str) -> None:
    """Raise `BadSetting`, which shows how such a value is written, unless the value is of a kind."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIO" else "a"
        raise BadSetting(field, value, f"{article} {kind.__name__}, such as {example}")


class Timeouts(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long one try of one request may take, in seconds.

    :param connect_s: until the connection stands.
    :param read_s: between two pieces of the answer.
    :param total_s: altogether; a server that drips a byte a second never runs into `read_s`.
    :param block_s: how long a call of a function may keep the whole engine from going on (a C call, an endless loop)
        before the engine is killed and started again without that parameter, whose outcome is `error` then.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    total_s: float = 60.0
    block_s: float = 120.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            check_at_least(f"timeouts.{name}", getattr(self, name), 0.001, "seconds")


class Retry(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a request is tried again within the run.

    :param max_attempts: the most requests for one parameter, the first one included.
    :param initial_delay_s: the longest wait before the second attempt; it doubles with each further one.
    :param max_delay_s: the longest wait before any attempt, whatever the doubling says.
    :param max_retry_after_s: the longest wait that a server may ask for; beyond it the task gives its worker slot
        back, and goes on at the moment that the server named.
    :param max_deferral_s: beyond this nobody waits: the parameter's outcome says so, and the others go on.
    :param statuses: HTTP statuses that say "try again".
    :param budget: at most such a share of the requests may be repeated ones, besides the first hundred: a server that
        is dying must not be beaten. What it doesn't cover is left to the last pass.
    :param last_pass: whether what has failed is asked for once more when all else is done.
    """

    max_attempts: int = 5
    initial_delay_s: float = 0.5
    max_delay_s: float = 30.0
    max_retry_after_s: float = 300.0
    max_deferral_s: float = 86_400.0
    statuses: tuple[int, ...] = (408, 425, 429, 500, 502, 503, 504)
    budget: float = 0.2
    last_pass: bool = True

    def __post_init__(self) -> None:
        check_whole("retry.max_attempts", self.max_attempts)
        check_statuses("retry.statuses", self.statuses)
        for name in ("initial_delay_s", "max_delay_s", "max_retry_after_s", "max_deferral_s"):
            check_at_least(f"retry.{name}", getattr(self, name), 0, "seconds")
        check_share("retry.budget", self.budget)
        check_flag("retry.last_pass", self.last_pass)


class Throttle(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast requests follow each other, below the operator's `concurrency`.

    :param adaptive: whether the concurrency follows what the server can take; if not, it is always the ceiling.
    :param min_concurrency: the least concurrency that it falls to.
    :param initial_concurrency: the concurrency that it starts with.
    :param rate_per_s: the most requests per second; `None` for no limit of the author's.
    """

    adaptive: bool = True
    min_concurrency: int = 1
    initial_concurrency: int = 16
    rate_per_s: float | None = None

    def __post_init__(self) -> None:
        check_flag("throttle.adaptive", self.adaptive)
        check_whole("throttle.min_concurrency", self.min_concurrency)
        check_whole("throttle.initial_concurrency", self.initial_concurrency)
        if self.rate_per_s is not None:
            check_at_least("throttle.rate_per_s", self.rate_per_s, 0.001, "requests per second")


class Breaker(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a run is stopped early, because the rest is doomed.

    :param canary: the parameters to request first; the others follow if few of these fail. 0 for none.
    :param max_failures: the share of parameters that may fail, from 0 to 1; 1 never stops a run.
    :param min_sample: after the canary, the share counts once this number of parameters has ended.
    :param outage_s: how long the server may be down, without any answer, before the run is given up; meanwhile single
        requests find out whether it is back. 0 for not noticing: each attempt counts.
    :param startup_attempts: if this number of requests fails before the API's first answer, for a cause that no waiting
        cures (an unknown host, an untrusted certificate, refused credentials), the fetch ends. 0 turns this off.
    """

    canary: int = 50
    max_failures: float = 0.5
    min_sample: int = 200
    outage_s: float = 300.0
    startup_attempts: int = 3

    def __post_init__(self) -> None:
        check_whole("breaker.canary", self.canary, least=0)
        check_share("breaker.max_failures", self.max_failures)
        check_whole("breaker.min_sample", self.min_sample)
        check_at_least("breaker.outage_s", self.outage_s, 0, "seconds")
        check_whole("breaker.startup_attempts", self.startup_attempts, least=0)


class FetchSettings(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the engine fetches.

    :param concurrency: the most requests under way at once.
    :param timeouts: limits in time of one try.
    :param retry: when a request is tried again.
    :param throttle: how fast requests follow each other.
    :param breaker: when the run is stopped early.
    :param max_body_bytes: the largest answer, after decompression.
    :param transport: what sends the requests: `curl`, `requests`, or `auto` for the first of them that is installed
        on this machine; a function's session leaves to `requests` what is unusual, whatever is set.
    :param processes: how many processes send them, each with its share of all limits; `None` for as many as are useful.
    """

    concurrency: int = 32
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    throttle: Throttle = Throttle()
    breaker: Breaker = Breaker()
    max_body_bytes: int = 16 * MIB
    transport: Transport = "auto"
    processes: int | None = None

    def __post_init__(self) -> None:
        check_kind("timeouts", self.timeouts, Timeouts, "Timeouts(total_s=30)")
        check_kind("retry", self.retry, Retry, "Retry(max_attempts=3)")
        check_kind("throttle", self.throttle, Throttle, "Throttle(rate_per_s=10)")
        check_kind("breaker", self.breaker, Breaker, "Breaker(max_failures=0.2)")
        if self.transport not in get_args(Transport):
            raise BadSetting("transport", self.transport, f"one of {', '.join(get_args(Transport))}")
        check_whole("concurrency", self.concurrency)
        check_whole("max_body_bytes", self.max_body_bytes, "bytes")
        if self.processes is not None:
            check_whole("processes", self.processes)
            if self.processes > self.concurrency:
                raise BadSetting("processes", self.processes, f"at most one for each request ({self.concurrency})")

    def share(self, number: int, of: int) -> FetchSettings:
        """Return the settings of one of several processes: what limits them together adds up to these limits.

        :param number: the number of the process, counted from 0.
        :param of: how many there are, at most one for each request at once.
        """

        def part(whole: int) -> int:
            # What doesn't divide goes to the first ones.
            return whole // of + (number < whole % of)

        throttle, breaker = self.throttle, self.breaker
        rate_per_s = throttle.rate_per_s and throttle.rate_per_s / of
        initial, least = max(1, part(throttle.initial_concurrency)), max(1, part(throttle.min_concurrency))
        # A canary of 0 is none at all.
        canary = breaker.canary and max(1, part(breaker.canary))
        return replace(
            self,
            concurrency=part(self.concurrency),
            throttle=replace(throttle, initial_concurrency=initial, min_concurrency=least, rate_per_s=rate_per_s),
            breaker=replace(breaker, canary=canary, min_sample=max(1, part(breaker.min_sample))),
            processes=1,
        )
