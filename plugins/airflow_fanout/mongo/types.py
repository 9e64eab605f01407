"""What an author says of the documents' values: which texts and numbers become dates, decimals, longs or doubles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_fanout.api.result import Path, check_path, steps_of
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared

TypeName = Literal["date", "decimal", "long", "double"]
# What a format loses of this moment, the format has no directive for.
SAMPLE = datetime(2026, 11, 22, 13, 45, 59, tzinfo=UTC)


class Date(Declared, frozen=True, kw_only=True):
    """A date of BSON: a moment in UTC, to the millisecond.

    :param timezone: the zone of times without an offset, and of days, which begin at its midnight; such as
        "Europe/Berlin". Without it, a day begins at midnight UTC, and a time without an offset is an error.
    :param format: how the texts are written, in the directives of `datetime.strptime`, such as "%d.%m.%Y"; ISO 8601 if
        not given.
    :param epoch: the unit of numbers that count from 1970 on: "s" or "ms"; without it, a number is an error.
    """

    timezone: str | None = None
    format: str | None = None
    epoch: Literal["s", "ms"] | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None and not _is_zone(self.timezone):
            raise BadSetting("Date.timezone", self.timezone, 'the name of a time zone, such as "Europe/Berlin"')
        if self.epoch not in ("s", "ms", None):
            raise BadSetting("Date.epoch", self.epoch, '"s" or "ms", the unit of numbers that count from 1970 on')
        if self.format is None:
            return
        if self.epoch is not None:
            raise BadSetting("Date.format", self.format, "either `format` or `epoch`: the values are texts or numbers")
        if not isinstance(self.format, str) or (parsed := _parsed_sample(self.format)) is None:
            raise BadSetting("Date.format", self.format, 'what strptime reads a date with, such as "%d.%m.%Y"')
        if parsed.date() != SAMPLE.date():
            raise BadSetting("Date.format", self.format, 'a format with day, month and year, such as "%d.%m.%Y"')
        if self.timezone is None and parsed.tzinfo is None and not self.is_day:
            problem = "the zone of the times, because `format` has a time of day and no offset (%z)"
            raise BadSetting("Date.timezone", None, problem)

    @property
    def is_day(self) -> bool:
        """Whether the format has no time of day."""
        parsed = _parsed_sample(self.format) if self.format else None
        return parsed is not None and not any((parsed.hour, parsed.minute, parsed.second))


def _is_zone(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _parsed_sample(form: str) -> datetime | None:
    try:
        return datetime.strptime(SAMPLE.strftime(form), form)  # noqa: DTZ007 - whether it has a zone, is asked
    except ValueError:
        return None


Types = Mapping[Path, TypeName | Date]


def check_types(types: object, date_field: str) -> Mapping[tuple[str, ...], TypeName | Date]:
    """Return the types by the steps of their paths; raise `BadSetting` for what is no type, or for paths that meet.

    :param date_field: the field for the run's date, which is a date already.
    """
    example = 'a dict such as {"issued": "date", "lines.amount": "decimal"}'
    if not isinstance(types, Mapping):
        raise BadSetting("types", types, example)
    by_steps: dict[tuple[str, ...], TypeName | Date] = {}
    for path, kind in types.items():
        field = f"types[{path!r}]"
        if not isinstance(path, str | tuple) or not path:
            raise BadSetting("types", path, example)
        check_path("types", path)
        if kind not in get_args(TypeName) and not isinstance(kind, Date):
            raise BadSetting(field, kind, '"date", "decimal", "long", "double", or Date(timezone="Europe/Berlin")')
        steps = tuple(steps_of(path))
        if steps[0] in (date_field, "_id"):
            raise BadSetting("types", path, f"another field: load itself, or MongoDB, writes {steps[0]!r}")
        for other in by_steps:
            if steps[: len(other)] == other or other[: len(steps)] == steps:
                raise BadSetting("types", path, f"paths of which none leads into another: there is {'.'.join(other)!r}")
        by_steps[steps] = kind
    return by_steps
