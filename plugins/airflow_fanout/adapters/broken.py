"""What load says of an error that nobody expected: its kind and its place, since its words may hold a document."""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

from airflow_fanout.adapters.errors import LoadBroke

FRAMES = 8


def broken(error: Exception) -> LoadBroke:
    """Return the error to raise instead of one that may quote a document."""
    frames = extract_tb(error.__traceback__)[-FRAMES:]
    places = ", ".join(f"{frame.name} ({Path(frame.filename).name}:{frame.lineno})" for frame in reversed(frames))
    return LoadBroke(type(error).__name__, places)
