"""Personal data in messages: enough of a value to recognise it, never enough to use it."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from airflow_fanout.codec import Json

SHOWN = 2
# Shorter values are replaced whole, and aren't searched for in texts: "7" would hide every 7 of a message.
SHORT = 4


def mask(value: Json) -> str:
    """Return a value with all but its last two characters hidden; objects and lists keep their shape."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {mask(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(mask(part) for part in value) + ")"
    text = str(value)
    return f"…{text[-SHOWN:]}" if len(text) > SHORT else "…"


def scrub(text: str, parameter: Json) -> str:
    """Return a message with each value of the parameter masked, as it is and as it stands in an address."""
    for value in sorted(_leaves(parameter), key=len, reverse=True):
        if len(value) > SHORT:
            for written in {value, quote(value, safe=""), quote(value), quote_plus(value)}:
                text = text.replace(written, mask(value))
    return text


def _leaves(value: Json) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_leaves(part) for part in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_leaves(part) for part in value))
    return {str(value)}


class KindOf:
    """What a value is, in an error that must not show the value: it may be personal data."""

    def __init__(self, value: object = None, *, text: str | None = None) -> None:
        kind = "a text" if isinstance(value, str) else f"of type {type(value).__name__}"
        self._text = text or ("None" if value is None else f"{kind} (its value isn't shown)")

    def __repr__(self) -> str:
        return self._text
