"""What a server says of its limits in the headers of an answer.

- `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
- `RateLimit` (draft-ietf-httpapi-ratelimit-headers): `"default";r=0;t=30`, in older drafts `limit=…, remaining=0,
  reset=30`, or three headers `RateLimit-Limit`, `-Remaining`, `-Reset`.
- `X-RateLimit-Remaining` and `X-RateLimit-Reset`, which nobody has written down: the reset is in seconds, or, when it
  is too large for that, the moment as a Unix time.

A moment is one of the server's clock: it is compared with the answer's own `Date` (RFC 9110, 6.6.1), so that a clock
that is wrong, here or there, makes no wait longer or shorter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# Nobody waits for thirty years: a larger number is a moment, not a duration; beyond the second, in milliseconds.
LONGEST_S = 1e9
LAST_MOMENT_S = 1e11
# No header that means anything has more digits, and a number of five thousand is an error of Python's.
_MOST_DIGITS = 15
_PREFIXES = ("RateLimit", "X-RateLimit")
_ITEM = re.compile(r"(?:^|[;,\s])(r|t|remaining|reset)\s*=\s*(\d+)")


def pause_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return for how long the server wants no requests, in seconds; `None` if it doesn't say.

    :param headers: the answer's headers; their names in any case.
    :param now: the time here, for an answer without a `Date`.
    """
    pauses = [pause for pause in (retry_after_s(headers, now), reset_s(headers, now)) if pause is not None]
    return max(pauses, default=None)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return `Retry-After` in seconds; `None` if it isn't there or can't be read."""
    text = (headers.get("Retry-After") or "").strip()
    seconds = _number(text)
    if seconds is not None:
        return _from_now(seconds, headers, now)
    until = _moment(text)
    return None if until is None else _sensible((until - _server_time(headers, now)).total_seconds())


def reset_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return after how many seconds the quota is full again, if nothing is left of it; else `None`."""
    text = headers.get("RateLimit") or ""
    # With parameters, each quota is an item of its own; in the older form, one quota is all of the items.
    listed = [dict(_ITEM.findall(quota)) for quota in (text.split(",") if ";" in text else [text])]
    quotas = [(items.get("r", items.get("remaining")), items.get("t", items.get("reset"))) for items in listed]
    quotas += [(headers.get(f"{prefix}-Remaining"), headers.get(f"{prefix}-Reset")) for prefix in _PREFIXES]
    numbers = [_number(reset) for remaining, reset in quotas if _number(remaining) == 0]
    resets = [_from_now(number, headers, now) for number in numbers if number is not None]
    return max((reset for reset in resets if reset is not None), default=None)


def _from_now(number: int, headers: Mapping[str, str], now: datetime) -> float | None:
    if number <= LONGEST_S:
        return float(number)
    moment = number if number <= LAST_MOMENT_S else number / 1000
    return _sensible(moment - _server_time(headers, now).timestamp())


def _server_time(headers: Mapping[str, str], now: datetime) -> datetime:
    return _moment(headers.get("Date") or "") or now


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sensible(seconds: float) -> float | None:
    return max(0.0, seconds) if seconds <= LONGEST_S else None


def _number(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) <= _MOST_DIGITS else None
