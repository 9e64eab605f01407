"""A test that waits to be killed; `test_killed.py` runs it in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from harness.service import DemoService


def test_waits(mongo_uri: str) -> None:
    """Start what tests start, one of it by no keeper, say so, and wait."""
    with DemoService.start(subscribers=10), subprocess.Popen(["sleep", "600"]):
        Path(os.environ["BEGUN_FILE"]).write_text(str(os.getpid()))
        time.sleep(600)
