"""What a walk through the staging area had to leave as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class Left(msgspec.Struct, frozen=True):
    """What a cleaning has left as it was.

    :param is_failure: whether it may be a run's that had to go; else it isn't ours.
    """

    address: str
    problem: str
    is_failure: bool = False

    def __str__(self) -> str:
        return f"{self.address}: {self.problem}"


class Leftovers(list[Left]):
    """What a walk has left, which goes on whatever it meets."""

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Take an error of the store for a reason to leave what it is about, and go on."""
        try:
            yield
        except FileNotFoundError:
            # Another cleaning, or somebody by hand, was faster.
            return
        except OSError as error:
            if error.filename is None:
                # Not about a file: whoever was asked about the run can't be reached.
                raise
            self.append(Left(str(error.filename), error.strerror or str(error), is_failure=True))
