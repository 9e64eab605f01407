"""What load says of an error that nobody expected: its kind and its place, since its words may hold a document."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import ClassVar

from airflow_fanout.errors import FanoutError

FRAMES = 8


@dataclass(eq=False)
class LoadBroke(FanoutError):
    """Load met an error of its own, or of the report's function, that it has no sentence for."""

    retry: ClassVar[bool] = True

    kind: str
    places: str

    def __str__(self) -> str:
        return (
            f"Load failed with {self.kind}, raised in: {self.places}. What the error says isn't shown, since it may "
            "hold personal data. Load is safe to run again. If a line of the report's own file is among these, look "
            "there; else report the lines as a defect."
        )


def broken(error: Exception) -> LoadBroke:
    """Return the error to raise instead of one that may quote a document."""
    frames = extract_tb(error.__traceback__)[-FRAMES:]
    places = ", ".join(f"{frame.name} ({Path(frame.filename).name}:{frame.lineno})" for frame in reversed(frames))
    return LoadBroke(type(error).__name__, places)
