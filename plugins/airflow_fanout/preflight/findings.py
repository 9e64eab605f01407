"""What a preflight has found: everything that is wrong, and everything that it couldn't look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from airflow_fanout.errors import FanoutError

SWITCH = "ExtractOperator(preflight=False), or [fanout] preflight = False for all reports, skips these checks."


@dataclass(eq=False)
class NotReady(FanoutError):
    """The report can't succeed as it is written or connected; each problem names its task."""

    problems: tuple[str, ...]

    def __str__(self) -> str:
        count = len(self.problems)
        return (
            f"The report isn't ready: {count} problem{'s' if count > 1 else ''} found before the first fetch request.\n"
            + "\n".join(f"  - {problem}" for problem in self.problems)
            + f"\nFix {'all of them' if count > 1 else 'it'}, then clear this task. {SWITCH}"
        )


@dataclass(eq=False)
class NotReachable(FanoutError):
    """Nothing is known to be wrong, but a server that the report needs didn't answer."""

    retry: ClassVar[bool] = True

    servers: tuple[str, ...]

    def __str__(self) -> str:
        return (
            "The report isn't started, because its results could not be loaded now:\n"
            + "\n".join(f"  - {server}" for server in self.servers)
            + "\nNothing was requested. The next try of this task looks again; if it has none left, clear it once the "
            f"server is back. {SWITCH}"
        )


@dataclass
class Findings:
    """Collects what is wrong, who doesn't answer, and what couldn't be checked."""

    problems: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

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
