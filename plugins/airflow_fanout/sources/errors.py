"""What makes a list useless until somebody has looked at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import BadSource


@dataclass(eq=False)
class UnusableList(BadSource):
    """The list can't be read, and trying again would end in the same way."""

    retry: ClassVar[bool] = False
