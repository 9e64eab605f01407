"""What can be wrong with the things themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class BadParameter(FanoutError):
    """An item of the parameter list that isn't a parameter."""

    index: int
    shown: str
    problem: str

    sentence: ClassVar[str] = (
        "Parameter {index} of the source ({shown}) {problem}. A parameter is a string, a number, "
        "a tuple of these, or a dict that JSON can hold."
    )
