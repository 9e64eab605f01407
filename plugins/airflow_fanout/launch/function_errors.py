"""What can be wrong with a function that an engine is to call: with how it travels, and with what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class FunctionNotSent(FanoutError):
    """A function that can't be given to the engine's process."""

    function: str
    why: str

    sentence: ClassVar[str] = (
        "The function {function} can't be sent to the engine, which runs in its own interpreter: {why}. "
        "Use plain values only. Put secrets into the connection, values of the run into the parameters or into an "
        "XCom in a functools.partial, and everything else into constants of the function's file."
    )


class AsyncFunction(FunctionNotSent):
    """A function that would have to be awaited."""

    sentence: ClassVar[str] = (
        "The function {function} is async, but the engine awaits nothing. Write a plain `def` that calls "
        "session.get(…): the engine runs up to `concurrency` calls at once, so asyncio isn't needed. "
        "(asyncio.run can't run in the engine.)"
    )


@dataclass(eq=False)
class FunctionMisfits(FanoutError):
    """A function that can't be called with the arguments that it would get."""

    function: str
    given: tuple[str, ...]
    problem: str

    def __str__(self) -> str:
        return (
            f"The function {self.function} doesn't fit its arguments: it is called with ({', '.join(self.given)}): "
            f"{self.problem}. The session comes first, then an object's fields by name, or a tuple's values in "
            "order. Change the function's arguments, or the `names` of extract."
        )
