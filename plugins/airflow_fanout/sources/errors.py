"""What can be wrong with a list of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class EmptyList(FanoutError):
    """The source gave no parameter."""

    source: str

    sentence: ClassVar[str] = (
        "{source} gave no parameter at all, so there would be nothing to report. If an empty list "
        "is right, set allow_empty=True. If not, check the source and the run's `limit` and `only`."
    )


@dataclass(eq=False)
class BadSource(FanoutError):
    """The list of parameters can't be read from its source."""

    retry: ClassVar[bool] = True

    source: str
    problem: str

    sentence: ClassVar[str] = "The parameter list could not be read from {source}: {problem}."


@dataclass(eq=False)
class UnusableList(BadSource):
    """The list can't be read, and trying again would end in the same way."""

    retry: ClassVar[bool] = False
