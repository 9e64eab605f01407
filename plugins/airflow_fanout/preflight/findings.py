"""What a preflight has found: everything that is wrong, and everything that it couldn't look at."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from airflow_fanout.preflight.errors import NotReachable, NotReady


class Findings(msgspec.Struct):
    """Collects what is wrong, who doesn't answer, and what couldn't be checked."""

    problems: list[str] = []
    unreachable: list[str] = []
    unchecked: list[str] = []

    def add(self, task_id: str, problems: Iterable[str]) -> None:
        """Add problems of a task; one that is known already isn't repeated."""
        for problem in problems:
            if (text := f"{task_id}: {problem}") not in self.problems:
                self.problems.append(text)

    def skip(self, task_id: str, what: str) -> None:
        """Add what couldn't be checked of a task."""
        if (text := f"{task_id}: {what}") not in self.unchecked:
            self.unchecked.append(text)

    def judge(self) -> None:
        """Raise for what was found.

        :raises NotReady: with everything that is wrong; trying again can't help.
        :raises NotReachable: when a server didn't answer, and nothing else is wrong.
        """
        if self.problems:
            raise NotReady((*self.problems, *self.unreachable))
        if self.unreachable:
            raise NotReachable(tuple(self.unreachable))
