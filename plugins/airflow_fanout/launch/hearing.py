"""What engines say, and that they say nothing, as their parent hears it."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from airflow_fanout.launch.lines import LONGEST_LINE, Lines
from airflow_fanout.launch.messages import Heard, ProgressReport

if TYPE_CHECKING:
    from airflow_fanout.launch.process import EngineProcess

# How often the parent looks at what an engine does, when it says nothing.
LOOK_S = 1.0
# How long the parent listens for more of what an engine that has ended may have printed.
LEFTOVERS_S = 0.5


# An engine, and what is heard of it; `None` when it has ended.
FromEngine: TypeAlias = "tuple[EngineProcess, Heard | None]"


def heard(engines: Sequence[EngineProcess]) -> Iterator[FromEngine]:
    """Yield what each of several engines says as it is said, its silence, and `None` for one that has ended.

    Of the progress that was reported while nobody listened, only the newest is read. An engine that takes another one's
    place in the sequence meanwhile is listened to as well.
    """
    with selectors.DefaultSelector() as selector:
        ears = _Ears(selector)
        while True:
            ears.know(engines)
            ready = [key.data for key, _ in selector.select(LOOK_S if ears.told else LEFTOVERS_S)]
            if not ready and not ears.told:
                return
            for pipe in ready:
                yield from pipe.heard()
                if pipe.is_at_its_end:
                    yield from ears.close(pipe)
            yield from ears.look()


class _Ears:
    """The pipes that are listened to."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._known: set[EngineProcess] = set()
        self._next_look_s = 0.0

    @property
    def told(self) -> list[_Pipe]:
        """The pipes of the messages of those engines that haven't ended.

        Without any, what an author's code has left behind may still hold the output of an engine open.
        """
        return [key.data for key in self._selector.get_map().values() if key.data.told]

    def know(self, engines: Sequence[EngineProcess]) -> None:
        """Listen to those engines, too, that are new."""
        for engine in set(engines) - self._known:
            self._known.add(engine)
            for pipe in (_Pipe(engine, told=True), _Pipe(engine, told=False)):
                self._selector.register(pipe.number, selectors.EVENT_READ, pipe)

    def close(self, pipe: _Pipe) -> Iterator[FromEngine]:
        """Listen to a pipe no longer; with the pipe of its messages an engine ends."""
        self._selector.unregister(pipe.number)
        if pipe.told:
            # An author's code may have closed the pipe, and then the engine doesn't end by itself.
            pipe.engine.stop_if_late()
            yield pipe.engine, None

    def look(self) -> Iterator[FromEngine]:
        """Look at what the engines do, if it is time to; yield what isn't heard by their pipes."""
        now = time.monotonic()
        if now < self._next_look_s:
            return
        self._next_look_s = now + LOOK_S
        for pipe in self.told:
            if pipe.engine.code is not None:
                # It has ended, and a copy of it still holds the pipe. What it has said itself is in there.
                yield from pipe.rest()
                yield from self.close(pipe)
            elif silence := pipe.engine.look():
                yield pipe.engine, silence


class _Pipe:
    """The parent's end of one of an engine's pipes, and the lines that come by it."""

    def __init__(self, engine: EngineProcess, *, told: bool) -> None:
        self.engine = engine
        self.told = told
        self.number = engine.told if told else engine.output
        self.is_at_its_end = False
        self._lines = Lines(None if told else LONGEST_LINE)

    def heard(self) -> Iterator[FromEngine]:
        """Read once, and yield what that says; of the progress only the newest."""
        data = os.read(self.number, 1 << 16)
        self.is_at_its_end = not data
        said = [self.engine.said(line, told=self.told) for line in self._lines.feed(data)]
        # Airflow may keep the listener waiting for each of them: what is over would hold up what is true.
        older = [at for at, one in enumerate(said) if isinstance(one, ProgressReport)][:-1]
        return ((self.engine, one) for at, one in enumerate(said) if at not in older)

    def rest(self) -> Iterator[FromEngine]:
        """Yield all that can be read without waiting."""
        os.set_blocking(self.number, False)
        try:
            while not self.is_at_its_end:
                yield from self.heard()
        except BlockingIOError:
            return
