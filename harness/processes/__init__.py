"""Processes that end with the one who wanted them, and ports for what they serve."""

from harness.processes.kept import CommandNotStarted, Kept, StillRunning
from harness.processes.ports import free_port
from harness.processes.stopped import StoppedAtTheEnd

__all__ = ["CommandNotStarted", "Kept", "StillRunning", "StoppedAtTheEnd", "free_port"]
