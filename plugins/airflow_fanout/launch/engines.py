"""One fetch by several engines, seen from their parent: started, heard and ended as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import product
from types import TracebackType
from typing import assert_never

from msgspec.structs import replace

from airflow_fanout.launch.errors import EngineBlocked
from airflow_fanout.launch.family import WAITING, state
from airflow_fanout.launch.fatal import Fatal, described, named, of_end, of_silence
from airflow_fanout.launch.hearing import heard
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.joint_end import badness, ends_all, together
from airflow_fanout.launch.messages import (
    BudgetUse,
    CredentialsRefused,
    DamagedPart,
    Ended,
    EngineMessage,
    Failed,
    FetchMessage,
    NewCredentials,
    NoCredentials,
    Output,
    ProgressReport,
    Remark,
    ReservedSlots,
    SendingRate,
    StoredNotes,
    Warned,
)
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import Stopped
from airflow_fanout.launch.watch import Silence
from airflow_fanout.model.progress import Progress
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.layout import TRY

# If more calls than this end their engines, the cause isn't a single parameter.
MOST_RESTARTS = 5
Refused = Callable[[int, str], object]
Used = Callable[[int, BudgetUse | None], object]


class Engines:
    """The engines of one fetch. Each takes every nth parameter and its share of all limits.

    They share nothing but the directory of their try, which is made here: it fences off what older tries still write.

    :param job: the whole fetch; its settings say how many engines.
    :param refused: called with the renewal whose credentials the API has refused, and their connection's id, if any.
    :param used: called with an engine's number and what it says of its slots; `None` when it has ended.
    """

    def __init__(self, job: Job, refused: Refused | None = None, used: Used | None = None) -> None:
        generation = list_at(job.directory).shard(job.shard).generation(job.generation)
        self._rate_per_s = job.settings.throttle.rate_per_s
        self._jobs = job.split(generation.claim_next(TRY))
        self._refused = refused or (lambda _renewal, _connection: None)
        self._used = used or (lambda _place, _use: None)
        self._credentials: dict[str, NewCredentials | NoCredentials] = {}
        self._engines: list[EngineProcess] = []
        self._progress: dict[EngineProcess, Progress] = {}
        self._begun: set[EngineProcess] = set()
        self._ends: dict[EngineProcess, Ended | Failed | None] = {}
        self._blocked: dict[EngineProcess, Silence] = {}
        self._before: dict[EngineProcess, Progress] = {}
        self._remarks: set[Remark] = set()
        self._restarts = 0
        self._is_to_stop = False
        self._stack = ExitStack()

    def __repr__(self) -> str:
        return f"Engines({', '.join(map(repr, self._engines)) or f'{len(self._jobs)} to be started'})"

    def __enter__(self) -> Engines:
        with ExitStack() as stack:
            self._engines = [stack.enter_context(EngineProcess(job)) for job in self._jobs]
            self._stack = stack.pop_all()
        self._introduce(self._engines)
        # What they are about counts, even if one of them never comes to say it.
        self._progress = {
            engine: Progress(total=len(job.indexes)) for engine, job in zip(self._engines, self._jobs, strict=True)
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # All at once, so that their time to end in good order is the same.
        self.ask_to_stop()
        self._stack.close()

    @property
    def ended(self) -> str | None:
        """How the engine ended that ended worst, in words; `None` while it runs."""
        return self._worst.ended

    @property
    def last_words(self) -> str:
        """The last lines that its code printed."""
        return self._worst.last_words

    @property
    def pids(self) -> list[int]:
        """The engines' process ids."""
        return [engine.pid for engine in self._engines]

    def ask_to_stop(self) -> None:
        """Tell all engines to come to an end, without waiting for it."""
        self._is_to_stop = True
        for engine in self._engines:
            engine.ask_to_stop()

    def take(self, message: NewCredentials | NoCredentials | StoredNotes) -> None:
        """Send all engines new credentials, or which notes are stored; called by other threads than all else."""
        if not isinstance(message, StoredNotes):
            self._credentials[message.connection] = message
        for engine in self._engines:
            engine.tell(message)

    def _introduce(self, engines: Sequence[EngineProcess]) -> None:
        """Send engines the newest credentials, unless those of their job are still the newest."""
        # Whatever comes first, the credentials or an engine: the later one finds the other.
        for engine, credentials in product(engines, tuple(self._credentials.values())):
            engine.tell(credentials)

    def give(self, place: int, slots: ReservedSlots) -> None:
        """Send slots to the engine of a number; called by another thread than all else."""
        self._engines[place].tell(slots)

    def listen(self) -> Iterator[FetchMessage]:
        """Yield what the engines say, their progress and their ends each added up to one."""
        for engine, message in heard(self._engines):
            if message is None:
                yield from self._has_ended(engine)
            elif isinstance(message, Silence):
                yield from self._is_silent(engine, message)
            else:
                yield from self._handle(engine, message)
        worst = self._ends.get(self._worst)
        if isinstance(worst, Ended):
            reasons = [end.reason for end in self._ends.values() if isinstance(end, Ended)]
            yield Ended(together(worst.reason, reasons), Progress.sum(list(self._progress.values())))
        elif worst is not None:
            yield worst

    def _handle(self, engine: EngineProcess, message: EngineMessage | Output) -> Iterator[FetchMessage]:
        match message:
            case ProgressReport():
                yield from self._has_progressed(engine, message)
            case Remark():
                if message not in self._remarks:
                    yield message
                self._remarks.add(message)
            case Output() | DamagedPart():
                yield message
            case CredentialsRefused() | BudgetUse():
                self._hand_on(engine, message)
            case Ended():
                self._ends[engine] = message
                self._note_progress(engine, message.progress)
            case Failed():
                self._ends[engine] = message
            case _:
                assert_never(message)

    def _hand_on(self, engine: EngineProcess, message: CredentialsRefused | BudgetUse) -> object:
        """Give a message to whoever looks after all engines' credentials or slots."""
        if isinstance(message, BudgetUse):
            return self._used(self._engines.index(engine), message)
        return self._refused(message.renewal, message.connection)

    def _has_progressed(self, engine: EngineProcess, message: ProgressReport) -> Iterator[FetchMessage]:
        self._note_progress(engine, message.progress)
        self._begun.add(engine)
        running = [other for other in self._engines if other not in self._ends]
        # All of them tell it each second: once is enough, when all have begun.
        if engine is running[0] and self._begun.issuperset(running):
            yield ProgressReport(Progress.sum(list(self._progress.values())))

    def _has_ended(self, engine: EngineProcess) -> Iterator[FetchMessage]:
        self._used(self._engines.index(engine), None)
        if engine not in self._ends and not self._is_to_stop:
            blocked = self._blocked.get(engine)
            sight = engine.board.look()
            fatal = of_silence(blocked) if blocked else of_end(sight, engine.code or 0, engine.ended or "")
            if fatal is not None:
                yield from self._restart(engine, fatal)
                return
        # One that is asked to stop while it is still starting knows no better way to end.
        reached = self._progress[engine]
        end = self._ends.setdefault(engine, Ended(Stopped(), reached) if engine.ended_as_asked else None)
        # What the others have done is in the journal; the rest is the next try's.
        if ends_all(end):
            self.ask_to_stop()
        self._share_rate()

    def _is_silent(self, engine: EngineProcess, silence: Silence) -> Iterator[FetchMessage]:
        job = self._jobs[self._engines.index(engine)]
        text = described(silence, list_at(job.directory), job.settings.timeouts.block_s)
        yield Warned(text)
        if not engine.watch.is_over(silence) or engine in self._ends:
            return
        if silence.culprit is not None:
            self._blocked[engine] = silence
            engine.kill()
        elif silence.sight.calls and state(engine.pid) not in WAITING:
            # Some thread of a function's, say: nobody knows which call has started it.
            self._ends[engine] = Failed("EngineBlocked", text)
            engine.kill()

    def _restart(self, engine: EngineProcess, fatal: Fatal) -> Iterator[FetchMessage]:
        """Let another engine go on where one has ended, without the parameter whose call has ended it."""
        self._restarts += 1
        place = self._engines.index(engine)
        directory = list_at(self._jobs[place].directory)
        if self._restarts > MOST_RESTARTS:
            raise EngineBlocked(self._restarts, named(directory, fatal.index), fatal.message)
        yield Warned(f"Parameter {named(directory, fatal.index)}: {fatal.message} The engine is restarted.")
        job = self._jobs[place]
        self._jobs[place] = job = replace(job, fatal=(*job.fatal, (fatal.index, fatal.message)))
        successor = self._stack.enter_context(EngineProcess(job))
        self._begun.discard(engine)
        self._progress[successor] = self._before[successor] = self._progress.pop(engine)
        self._engines[place] = successor
        self._introduce([successor])
        self._share_rate()

    def _share_rate(self) -> None:
        """Divide the rate by the engines that still send: those that have ended leave them their share."""
        # There is no such message for the concurrency: an engine's handles and connections are made for its share.
        running = [engine for engine in self._engines if engine not in self._ends]
        if self._rate_per_s is not None:
            for engine in running:
                engine.tell(SendingRate(self._rate_per_s / len(running)))

    def _note_progress(self, engine: EngineProcess, progress: Progress) -> None:
        before = self._before.get(engine)
        self._progress[engine] = progress if before is None else progress.after(before)

    @property
    def _worst(self) -> EngineProcess:
        return min(self._engines, key=lambda engine: badness(self._ends.get(engine)))
