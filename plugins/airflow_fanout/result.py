"""Which part of an answer is the result."""

from __future__ import annotations

from airflow_fanout.codec import Json

# An answer keyed by its own data may have any number of fields.
MOST_NAMED = 20


class PartMissing(ValueError):
    """The answer doesn't have the field that the report asks for; the message names the fields that it has."""


class Part:
    """A dotted path into an answer: `data.calls`, or `items.0` into a list; without a path, all of it."""

    def __init__(self, path: str | None, *, empty_is_null: bool = False) -> None:
        self._steps = path.split(".") if path else []
        self._empty_is_null = empty_is_null

    def of(self, answer: Json) -> Json:
        """Return the part; `None` for null, and for an empty list, object or text if those count as null.

        :raises PartMissing: when a step of the path isn't there. A null on the way is a null result.
        """
        for step in self._steps:
            try:
                answer = answer[step]
            except (LookupError, TypeError):
                answer = _step(answer, step)
        return None if self._empty_is_null and answer in ([], {}, "") else answer


def _step(answer: Json, step: str) -> Json:
    if answer is None:
        return None
    if isinstance(answer, dict):
        # Names of fields are the API's own words, not personal data; its values stay out of the message.
        more = f" and {len(answer) - MOST_NAMED:,} more" if len(answer) > MOST_NAMED else ""
        has = ", ".join(sorted(answer)[:MOST_NAMED]) or "none"
        raise PartMissing(f"the answer has no field {step!r}; it has: {has}{more}")
    if isinstance(answer, list) and step.isdecimal() and int(step) < len(answer):
        return answer[int(step)]
    raise PartMissing(f"the answer has no field {step!r}: it is of type {type(answer).__name__}")
