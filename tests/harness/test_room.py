"""The harness as a room of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "harness").rglob("*.py"))
ABOVE = {"airflow_fanout", "bench", "demo", "tests"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_it_knows_nothing_of_those_who_use_it(file: Path) -> None:
    """The harness imports neither the package nor the demo, the tests or the benchmark; a file fits in 250 lines."""
    text = file.read_text()

    assert {name.partition(".")[0] for name in imported(text)} & ABOVE == set()
    assert len(text.splitlines()) <= 250


def test_the_demo_is_only_the_demo() -> None:
    """What others could use is in the harness."""
    assert sum(len(file.read_text().splitlines()) for file in (ROOT / "demo").rglob("*.py")) <= 330


def imported(text: str) -> Iterator[str]:
    """Yield the names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
