"""What a preflight refuses to start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import BadSetting, FanoutError

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
            "The report did not start, because a server that it needs did not answer:\n"
            + "\n".join(f"  - {server}" for server in self.servers)
            + "\nNothing was requested. The next try of this task checks again. If no try is left, clear the task once "
            f"the server is back. {SWITCH}"
        )


@dataclass(eq=False)
class WrongFunction(FanoutError):
    """A function of the author's that can't be called as this package calls it."""

    argument: str
    function: str
    problem: str

    sentence: ClassVar[str] = "{argument}: the function {function} {problem}"


@dataclass(eq=False)
class WrongArgument(BadSetting):
    """An argument that can't work, for a reason that takes a sentence: `expected` is that sentence."""

    sentence: ClassVar[str] = "{expected}."
