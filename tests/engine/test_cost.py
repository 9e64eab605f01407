from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEPT = Path(__file__).with_name("cost.json")
# Two runs differ by next to nothing.
TOLERATED = 0.01


@pytest.fixture(scope="module")
def measured() -> dict[str, float]:
    """What a request costs now, in an interpreter that nothing else has touched."""
    path = os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])
    command = [sys.executable, "-m", "tests.engine.cost"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("what", ["calls", "instructions"])
def test_a_request_costs_what_it_did(measured: dict[str, float], what: str) -> None:
    """The engine's own work for a request, in function calls and in instructions of the interpreter, hasn't grown.

    The figures are kept in `cost.json`, by version of Python. Whoever makes the engine do less lowers them, by what
    `python -m tests.engine.cost` prints; whoever has to raise them says why.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    kept = json.loads(KEPT.read_text())[version][what]
    assert kept * (1 - TOLERATED) <= measured[what] <= kept * (1 + TOLERATED)


@pytest.mark.parametrize("what", ["calls", "instructions"])
def test_tokens_that_are_renewed_cost_a_request_next_to_nothing(measured: dict[str, float], what: str) -> None:
    """At most 5 % more than without any, with a renewal after each thousand requests."""
    assert measured[f"{what} with tokens"] <= 1.05 * measured[what]
