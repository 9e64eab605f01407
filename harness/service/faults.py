"""What goes wrong, when: a decision from the seed, the number, and how much was asked for before."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

WHOLE = 2.0**64
BURST = 50


class Fault(StrEnum):
    """What happens to a request instead of the truth."""

    ERROR = "error"
    THROTTLE = "throttle"
    HANG = "hang"
    RESET = "reset"
    INVALID = "invalid"
    NULL = "null"
    MISSING = "missing"
    LARGE = "large"


class FaultsRefused(ValueError):
    """Faults that can't be: ``setting`` breaks ``rule``."""

    def __init__(self, setting: str, rule: str) -> None:
        super().__init__(setting, rule)
        self.setting = setting
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.setting} {self.rule}."


class Turn(NamedTuple):
    """A request for a number's calls among the others.

    It is the ``time``-th for its number and the ``nth`` of all, and with it ``in_flight`` are waiting.
    """

    tel: str
    time: int
    nth: int
    in_flight: int


# No slots: they leave no room for what is worked out once.
@dataclass(frozen=True, kw_only=True)
class Faults:
    """The faults' settings: a rate is a share of requests, a set holds numbers that always meet the fault.

    Each is about /calls and the pages of invoices alone, unless it says otherwise:

    - ``throttle_burst``: 429s come in bursts. ``throttle_rate`` is drawn once for 50 requests in a row: all or none.
    - ``limit_per_s``: a quota for each second of the clock; what is beyond it gets 429 at once. 0 is no quota.
    - ``quota_headers``: every answer says how it stood with the quota, in three RateLimit headers.
    - ``retry_after_date``: Retry-After is a date instead of seconds.
    - ``knee``: a request that brings what is in flight above this many takes twice as long. 0 is no knee.
    - ``queue``: this many are served at once, each for its latency, the others wait in line. 0 is no line.
    - ``down``: a request loses its connection at once; the subscribers' lists are down, too.
    - ``token_…``: about the token endpoint: how long a token is good; whether it resets connections, refuses, answers
      HTML, doesn't say when a token ends, gives another refresh token at each use.
    """

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    error_rate: float = 0.0
    throttle_rate: float = 0.0
    hang_rate: float = 0.0
    reset_rate: float = 0.0
    invalid_rate: float = 0.0
    throttle_burst: bool = False
    retry_after_s: int = 1
    retry_after_date: bool = False
    large_mb: int = 8
    limit_per_s: int = 0
    quota_headers: bool = False
    knee: int = 0
    queue: int = 0
    down: bool = False
    token_lifetime_s: float = 3600.0
    token_down: bool = False
    token_refused: bool = False
    token_html: bool = False
    token_endless: bool = False
    token_rotates: bool = False
    fail: frozenset[str] = frozenset()
    hang: frozenset[str] = frozenset()
    invalid: frozenset[str] = frozenset()
    null: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    large: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            # Said this way round because nan is refused, too.
            if isinstance(value, int | float) and not value >= 0:
                raise FaultsRefused(field.name, f"is {value}: it can't be below 0")
        if (total := sum(rate for _, rate in self.rates())) > 1:
            raise FaultsRefused("rates", f"add up to {total:g}: together they can't be above 1")

    def rates(self) -> tuple[tuple[Fault, float], ...]:
        """Return the faults that come by chance with their shares, in a fixed order."""
        return (
            (Fault.ERROR, self.error_rate),
            (Fault.THROTTLE, self.throttle_rate),
            (Fault.HANG, self.hang_rate),
            (Fault.RESET, self.reset_rate),
            (Fault.INVALID, self.invalid_rate),
        )

    @cached_property
    def always(self) -> Mapping[str, Fault]:
        """The fault that each named number always meets; with several, the one which hides the others."""
        weakest_first = (
            (Fault.LARGE, self.large),
            (Fault.MISSING, self.missing),
            (Fault.NULL, self.null),
            (Fault.INVALID, self.invalid),
            (Fault.ERROR, self.fail),
            (Fault.HANG, self.hang),
        )
        return {tel: fault for fault, tels in weakest_first for tel in tels}

    @cached_property
    def edges(self) -> tuple[tuple[Fault, float], ...]:
        """The faults that each request draws for itself, with the chance below which it meets them."""
        drawn = [(fault, rate) for fault, rate in self.rates() if rate and not self._in_bursts(fault)]
        edges = accumulate(rate for _, rate in drawn)
        return tuple((fault, edge) for (fault, _), edge in zip(drawn, edges, strict=True))

    def _in_bursts(self, fault: Fault) -> bool:
        return self.throttle_burst and fault is Fault.THROTTLE

    def changed(self, changes: Mapping[str, object]) -> Faults:
        """Return faults with the named settings changed; raise FaultsRefused for a wrong one."""
        checked: dict[str, Any] = {name: _value(name, value) for name, value in changes.items()}
        return replace(self, **checked)

    def as_json(self) -> dict[str, object]:
        """Return the settings as JSON holds them, numbers sorted."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: sorted(held) if isinstance(held, frozenset) else held for name, held in values.items()}


def _value(name: str, value: object) -> float | frozenset[str]:
    default = DEFAULTS.get(name)
    if isinstance(default, frozenset):
        if isinstance(value, list) and all(isinstance(tel, str) for tel in value):
            return frozenset(value)
        raise FaultsRefused(name, "takes a list of telephone numbers")
    if default is None:
        raise FaultsRefused(name, f"is no fault setting: there are {', '.join(DEFAULTS)}")
    if isinstance(default, bool):
        return _flag(name, value)
    wanted = int if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise FaultsRefused(name, f"takes a {'whole number' if wanted is int else 'number'}")
    return value


def _flag(name: str, value: object) -> bool:
    if isinstance(value, int) and value in {0, 1}:
        return bool(value)
    raise FaultsRefused(name, "takes 0 or 1")


def decide(faults: Faults, seed: int, turn: Turn) -> tuple[Fault | None, float]:
    """Return what a request meets, and its delay in seconds."""
    tel = turn.tel
    digest = blake2b(f"{seed}/{tel}/{turn.time}".encode(), digest_size=16, person=b"faults").digest()
    delay_s = (faults.latency_ms + faults.jitter_ms * int.from_bytes(digest[8:]) / WHOLE) / 1000
    if 0 < faults.knee < turn.in_flight:
        delay_s *= 2
    return faults.always.get(tel) or _by_chance(faults, seed, turn.nth, int.from_bytes(digest[:8]) / WHOLE), delay_s


def _by_chance(faults: Faults, seed: int, nth: int, chance: float) -> Fault | None:
    if faults.throttle_burst:
        if _chance_of_burst(seed, nth) < faults.throttle_rate:
            return Fault.THROTTLE
        # A rate is a share of all requests, and the bursts have left the others fewer of these.
        chance *= 1 - faults.throttle_rate
    return next((fault for fault, edge in faults.edges if chance < edge), None)


def _chance_of_burst(seed: int, nth: int) -> float:
    digest = blake2b(f"{seed}/{(nth - 1) // BURST}".encode(), digest_size=8, person=b"bursts").digest()
    return int.from_bytes(digest) / WHOLE


DEFAULTS: dict[str, object] = {field.name: field.default for field in fields(Faults)}
