"""What can be wrong with how an operator is called."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_fanout.errors import BadSetting


@dataclass(eq=False)
class WrongArgument(BadSetting):
    """An argument that can't work, for a reason that takes a sentence: `expected` is that sentence."""

    def __str__(self) -> str:
        return f"{self.expected}."
