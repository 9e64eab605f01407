"""What goes wrong, when: a decision from the seed, the number, and how often the number was asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from hashlib import blake2b
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

WHOLE = 2.0**64


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults' settings: a rate is a share of requests, a set holds numbers that always meet the fault."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    error_rate: float = 0.0
    throttle_rate: float = 0.0
    hang_rate: float = 0.0
    reset_rate: float = 0.0
    invalid_rate: float = 0.0
    retry_after_s: int = 1
    large_mb: int = 8
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

    def always(self, tel: str) -> Fault | None:
        """Return the fault that this number always meets; with several, the one which hides the others."""
        named = (
            (Fault.HANG, self.hang),
            (Fault.ERROR, self.fail),
            (Fault.INVALID, self.invalid),
            (Fault.NULL, self.null),
            (Fault.MISSING, self.missing),
            (Fault.LARGE, self.large),
        )
        return next((fault for fault, tels in named if tel in tels), None)

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
    wanted = int if name in WHOLE_NUMBERS else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise FaultsRefused(name, f"takes a {'whole number' if wanted is int else 'number'}")
    return value


def decide(faults: Faults, seed: int, tel: str, time: int) -> tuple[Fault | None, float]:
    """Return what the ``time``-th request for a number meets, and its delay in seconds."""
    digest = blake2b(f"{seed}/{tel}/{time}".encode(), digest_size=16, person=b"faults").digest()
    delay_s = (faults.latency_ms + faults.jitter_ms * int.from_bytes(digest[8:]) / WHOLE) / 1000
    return faults.always(tel) or _by_chance(faults, int.from_bytes(digest[:8]) / WHOLE), delay_s


def _by_chance(faults: Faults, chance: float) -> Fault | None:
    rates = faults.rates()
    edges = accumulate(rate for _, rate in rates)
    return next((fault for (fault, _), edge in zip(rates, edges, strict=True) if chance < edge), None)


DEFAULTS: dict[str, object] = {field.name: field.default for field in fields(Faults)}
WHOLE_NUMBERS = frozenset({"retry_after_s", "large_mb"})
