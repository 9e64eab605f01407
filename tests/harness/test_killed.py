"""A pytest that is killed leaves no process behind, and disturbs no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.harness.test_processes import MARK, marked
from tests.integration.runs import until

if TYPE_CHECKING:
    import psutil

ROOT = Path(__file__).parents[2]
WAITING = Path(__file__).with_name("waiting.py")


class Suite:
    """A pytest of two processes, in a test that waits."""

    def __init__(self, place: Path) -> None:
        self.mark = uuid4().hex
        begun = place / "begun"
        env = {**os.environ, MARK: self.mark, "BEGUN_FILE": str(begun)}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", str(WAITING)]
        with (place / "log").open("wb") as log:
            self.controller = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log)
        self.worker = int(
            until(lambda: begun.exists() and begun.read_text(), what=f"a test that waits: {place / 'log'}")
        )

    @property
    def processes(self) -> list[psutil.Process]:
        """All that it has started, however indirectly."""
        return marked(self.mark)


@pytest.fixture
def suites(tmp_path: Path) -> Iterator[list[Suite]]:
    """Two of them."""
    places = [tmp_path / name for name in "ab"]
    for place in places:
        place.mkdir()
    made = [Suite(place) for place in places]
    yield made
    for suite in made:
        suite.controller.kill()
        suite.controller.wait()
        for process in suite.processes:
            process.kill()


def test_a_killed_pytest_leaves_no_process(suites: list[Suite]) -> None:
    """SIGKILL of its first process, or of the one that runs the test: soon nothing of it is left.

    A server that its fixtures have started, and a process that nobody looks after, end with it; those of another
    pytest go on.
    """
    first, second = suites
    assert len(first.processes) > 6
    first.controller.kill()
    first.controller.wait()
    until(lambda: not first.processes, what=f"nothing left of the first: {first.processes}")
    assert len(second.processes) > 6
    os.kill(second.worker, signal.SIGKILL)
    # It tells of the test as of one that failed, and ends.
    assert second.controller.wait() != 0
    until(lambda: not second.processes, what="nothing left of the second")
