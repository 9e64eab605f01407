"""What can go wrong, named by what happened in the world.

Each error has fields and a sentence (what happened, to what, what to do), and says whether the same
work can succeed when it is tried again later. None of them knows Airflow: `adapters.border` translates them.
Each room has an `errors` of its own; here is what more than one room raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(eq=False)
class FanoutError(Exception):
    """A failure that somebody can act on; `retry` says whether trying again later can help.

    `sentence` is its text, with its fields in braces, as `str.format` has them. `shows_samples` says that it holds
    samples of results, masked or not as the report's author chose: an alert takes out secrets only.
    """

    retry: ClassVar[bool] = False
    shows_samples: ClassVar[bool] = False
    sentence: ClassVar[str] = ""

    def __str__(self) -> str:
        return self.sentence.format_map(vars(self))

    # Exceptions rebuild themselves from `args`, which keyword fields never reach: without this an error that
    # crosses a process boundary fails to unpickle.
    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(kind: type[FanoutError], fields: dict[str, Any]) -> FanoutError:
    error = kind.__new__(kind)
    error.__dict__.update(fields)
    return error


@dataclass(eq=False)
class BadSetting(FanoutError):
    """A setting has a value that can't work."""

    field: str
    value: object
    expected: str

    sentence: ClassVar[str] = "{field} is {value!r}: expected {expected}."


@dataclass(eq=False)
class BadConnection(FanoutError):
    """An Airflow connection that is missing or incomplete."""

    conn_id: str
    problem: str
    is_missing: bool = False

    def __str__(self) -> str:
        return (
            f"The connection {self.conn_id!r} {self.problem}. Set it under Admin > Connections, or in the environment "
            f"variable AIRFLOW_CONN_{self.conn_id.upper()}."
        )
