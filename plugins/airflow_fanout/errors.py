"""What can go wrong, named by what happened in the world.

Each error has fields, builds its own sentence (what happened, to what, what to do), and says whether the same
work can succeed when it is tried again later. None of them knows Airflow: `operators.border` translates them.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar


@dataclass(eq=False)
class FanoutError(Exception):
    """A failure that somebody can act on; `retry` says whether trying again later can help."""

    retry: ClassVar[bool] = False

    # Exceptions rebuild themselves from `args`, which keyword fields never reach: without this an error that
    # crosses a process boundary fails to unpickle.
    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(kind: type[FanoutError], fields: dict[str, Any]) -> FanoutError:
    error = kind.__new__(kind)
    error.__dict__.update(fields)
    return error


# --- what the author of a report wrote ------------------------------------------------------------------


@dataclass(eq=False)
class BadSetting(FanoutError):
    """A setting has a value that can't work."""

    field: str
    value: object
    expected: str

    def __str__(self) -> str:
        return f"{self.field} is {self.value!r}: expected {self.expected}."


@dataclass(eq=False)
class BadTemplate(FanoutError):
    """A text with `{name}` fields can't be read."""

    text: str
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.text!r} {self.problem}. Fields are written {{name}}, or {{0}}, {{1}} where values have no name. "
            "A text with braces of its own (GraphQL, JSON) can be a field of the parameter, or be sent by a function."
        )


# Values of Airflow's that are taken for fields; a template of Airflow's has two braces.
AIRFLOWS = frozenset(
    {
        *("ds", "ds_nodash", "ts", "ts_nodash", "run_id", "logical_date", "params", "var", "conn", "macros"),
        *("data_interval_start", "data_interval_end", "dag", "dag_run", "task", "ti", "task_instance"),
    }
)


@dataclass(eq=False)
class UnknownField(FanoutError):
    """A `{name}` in a request that the parameters don't have."""

    where: str
    field: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        has = f"every parameter of this list has: {', '.join(self.known) or 'no fields'}"
        if self.known and all(name.isdecimal() for name in self.known):
            has = f"the parameters of this list have no names, only places ({', '.join(self.known)})"
        return f"{self.where} uses {{{self.field}}}, but {has}.{self._hint()}"

    def _hint(self) -> str:
        if close := get_close_matches(self.field, self.known, n=1):
            return f" Did you mean {{{close[0]}}}?"
        if self.field in AIRFLOWS:
            return f" For Airflow's value write {{{{ {self.field} }}}}."
        if self.known and all(name.isdecimal() for name in self.known) and not self.field.isdecimal():
            return f' Name them: ExtractOperator(names=("{self.field}",)).'
        return ""


@dataclass(eq=False)
class BadParameter(FanoutError):
    """An item of the parameter list that isn't a parameter."""

    index: int
    shown: str
    problem: str

    def __str__(self) -> str:
        return (
            f"Parameter {self.index} of the source ({self.shown}) {self.problem}. A parameter is a string, a number, "
            "a tuple of these, or a dict that JSON can hold."
        )


@dataclass(eq=False)
class DuplicateParameter(FanoutError):
    """The same parameter twice, in a report whose author refuses that."""

    index: int
    shown: str

    def __str__(self) -> str:
        return (
            f"Parameter {self.index} of the source ({self.shown}) was there before. Mend the source, "
            'or say duplicates="drop" to keep the first of each.'
        )


@dataclass(eq=False)
class EmptyList(FanoutError):
    """The source gave no parameter."""

    source: str

    def __str__(self) -> str:
        return (
            f"{self.source} gave no parameter at all, so there would be nothing to report. If that can be right, "
            "say allow_empty=True; else look at the source and at the run's `limit` and `only`."
        )


@dataclass(eq=False)
class UnknownSelection(FanoutError):
    """`only` names parameters that the list doesn't have."""

    missing: int
    shown: str

    def __str__(self) -> str:
        return (
            f"`only` asks for {self.missing} parameter(s) that the source doesn't have, for example {self.shown}. "
            "Nothing was frozen or sent; write them exactly as the source gives them."
        )


@dataclass(eq=False)
class FunctionNotSent(FanoutError):
    """A function that can't be given to the engine's process."""

    function: str
    why: str

    def __str__(self) -> str:
        return (
            f"The function {self.function} can't be sent to the engine, which runs in an interpreter of its own: "
            f"{self.why}. Give it plain values: secrets by the connection, values of the run by the parameters or by "
            "an XCom in a functools.partial, all else by constants of its file."
        )


@dataclass(eq=False)
class BadSource(FanoutError):
    """The list of parameters can't be had from its source."""

    retry: ClassVar[bool] = True

    source: str
    problem: str

    def __str__(self) -> str:
        return f"The parameter list could not be read from {self.source}: {self.problem}."


# --- the place where it runs ----------------------------------------------------------------------------


@dataclass(eq=False)
class BadConnection(FanoutError):
    """An Airflow connection that is missing or incomplete."""

    conn_id: str
    problem: str

    def __str__(self) -> str:
        return (
            f"The connection {self.conn_id!r} {self.problem}. Set it under Admin > Connections, or by the environment "
            f"variable AIRFLOW_CONN_{self.conn_id.upper()}."
        )


@dataclass(eq=False)
class TooFewFiles(FanoutError):
    """The limit on open files can't carry the concurrency."""

    concurrency: int
    needed: int
    limit: int
    possible: int

    def __str__(self) -> str:
        lower = f"Set concurrency to at most {self.possible}, or raise" if self.possible else "Raise"
        return (
            f"A concurrency of {self.concurrency} needs {self.needed} open files, and {self.limit} are allowed here. "
            f"{lower} the worker's limit (ulimit -n)."
        )


@dataclass(eq=False)
class StagingLost(FanoutError):
    """The run's directory doesn't hold what an earlier task put there."""

    path: str
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.path} {self.problem}. Every worker must see the same staging area ([fanout] staging); "
            "when it was cleaned, clear the run from its extract task on."
        )


@dataclass(eq=False)
class StagingFailed(FanoutError):
    """A file of the run's directory can't be written or read."""

    retry: ClassVar[bool] = True

    path: str
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.problem}. The staging area ([fanout] staging) needs free space, and must be writable "
            "for the user that runs the tasks; then clear this task. What is in the journal stays."
        )


@dataclass(eq=False)
class JournalDamaged(FanoutError):
    """A part of the journal, or a frozen list, whose bytes aren't those that were written."""

    part: str
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.part} is damaged ({self.problem}): it isn't what was written, so nothing of it is used. "
            "Clear the fetch task: it puts a damaged part of the journal aside and fetches its records again. "
            "If it is the list itself (parameters.jsonl.zst), clear the run from its extract task on."
        )


# --- the engine -----------------------------------------------------------------------------------------


@dataclass(eq=False)
class EngineDied(FanoutError):
    """The engine's process ended without having said that it is done."""

    retry: ClassVar[bool] = True

    how: str
    last_words: str

    def __str__(self) -> str:
        said = f" It said last: {self.last_words}" if self.last_words else ""
        return (
            f"The engine {self.how} before its work was done. What it has fetched is in the journal; "
            f"the next try requests only the rest.{said}"
        )


@dataclass(eq=False)
class EngineStopped(FanoutError):
    """The engine was told to stop."""

    retry: ClassVar[bool] = True

    done: int
    total: int

    def __str__(self) -> str:
        return (
            f"The fetch was stopped after {self.done:,} of {self.total:,} parameters. "
            "They are in the journal; the next try requests only the rest."
        )


@dataclass(eq=False)
class LongWait(FanoutError):
    """The server wants no requests for longer than a worker slot is worth."""

    retry: ClassVar[bool] = True

    seconds: float
    done: int
    total: int

    def __str__(self) -> str:
        return (
            f"The API asked us to wait {self.seconds:,.0f} s. {self.done:,} of {self.total:,} parameters are in "
            "the journal; the task goes on with the rest then."
        )


@dataclass(eq=False)
class Superseded(FanoutError):
    """A newer try of the same fetch has begun."""

    def __str__(self) -> str:
        return (
            "A newer try of this fetch has begun, so this one has stopped; what it fetches now would not count. "
            "There is nothing to do: look at the newer one."
        )


@dataclass(eq=False)
class Tripped(FanoutError):
    """The breaker has stopped the run, because the rest was doomed.

    `cause` names the most frequent failure ("HTTP 404"), `of_cause` counts it; `total` are the parameters that this try
    was about, `begun` those of them for which a request was sent, and `under_way` what of these has no outcome.
    """

    sample: int
    failed: int
    of_cause: int
    cause: str
    fix: str
    total: int
    begun: int
    under_way: int
    transient: bool

    @property
    def retry(self) -> bool:  # type: ignore[override] # it depends on the cause here
        """Whether trying again later can help."""
        return self.transient

    def __str__(self) -> str:
        share = f"all {self.failed:,} failed" if self.failed == self.sample else f"{self.failed:,} failed"
        most = "" if self.of_cause == self.failed else f"{self.of_cause:,} of them "
        rest = self.total - self.begun
        left = f" The other {rest:,} were not requested." if rest > 0 else ""
        lost = f" {self.under_way:,} more were under way and have no outcome." if self.under_way else ""
        too = f"If that fails, too, {self.fix[:1].lower()}{self.fix[1:]}."
        on = f"The next try of this task goes on with the rest. {too}"
        then = on if self.transient else f"{self.fix}, then clear this task."
        return (
            f"Stopped after {self.sample:,} of {self.total:,} parameters: {share}, {most}with {self.cause}."
            f"{left}{lost} {then}"
        )


@dataclass(eq=False)
class NotStarted(FanoutError):
    """The first requests have failed of a cause that no waiting cures."""

    requests: int
    problem: str
    fix: str

    def __str__(self) -> str:
        return (
            f"The fetch ended after {self.requests} request(s), before the API gave a first answer: {self.problem}. "
            f"{self.fix}, then clear this task."
        )


@dataclass(eq=False)
class ApiDown(FanoutError):
    """The API has stopped answering, for longer than anybody waits."""

    retry: ClassVar[bool] = True

    seconds: float
    reason: str
    done: int
    total: int

    def __str__(self) -> str:
        return (
            f"The API gave no answer for {self.seconds:,.0f} s ({self.reason}): stopped after {self.done:,} of "
            f"{self.total:,} parameters. They are in the journal; the next try requests only the rest."
        )


@dataclass(eq=False)
class EngineBlocked(FanoutError):
    """Calls of the report's function have ended one engine after the other."""

    times: int
    parameter: str
    why: str

    def __str__(self) -> str:
        return (
            f"Calls of the report's function have ended {self.times} engines of this try, so it was stopped. The last "
            f"was that of parameter {self.parameter}: {self.why} What was fetched is in the journal. Fix the function, "
            "then clear this task."
        )


@dataclass(eq=False)
class EngineFailed(FanoutError):
    """The engine met an error of its own, such as a full disk."""

    retry: ClassVar[bool] = True

    kind: str
    message: str
    details: str

    def __str__(self) -> str:
        said = (
            f"The engine failed: {self.kind}: {self.message}. What was written to the journal counts for the next try."
        )
        return f"{said}\n{self.details}".rstrip()


# --- validate and load ----------------------------------------------------------------------------------


@dataclass(eq=False)
class ValidationFailed(FanoutError):
    """The results are not what the report needs; `text` is the whole account of it."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(eq=False)
class NotValidated(FanoutError):
    """Load was asked for results that no validate task has passed."""

    path: str

    def __str__(self) -> str:
        return (
            "No validate task has passed these results, so nothing was written. Put ValidateOperator before "
            f"MongoLoadOperator, or clear the run from its validate task on ({self.path})."
        )


@dataclass(eq=False)
class BadDocument(FanoutError):
    """A result that can't become a document; found before the first write."""

    index: int
    shown: str
    problem: str

    def __str__(self) -> str:
        return (
            f"The result of parameter {self.index} ({self.shown}) can't be loaded: {self.problem}. "
            "No document of this run was written; mend the report's `document` function or its key and clear load."
        )


@dataclass(eq=False)
class CountMismatch(FanoutError):
    """MongoDB holds another number of documents than load gave it."""

    retry: ClassVar[bool] = True

    collection: str
    given: int
    written: int

    def __str__(self) -> str:
        return (
            f"{self.given:,} documents were given to {self.collection}, and MongoDB confirms {self.written:,}. "
            "Load is safe to run again. If it stays so, another program or a TTL index removes or replaces documents "
            "with the keys of this run."
        )


@dataclass(eq=False)
class WriteRefused(FanoutError):
    """MongoDB refused documents of a batch."""

    retry: ClassVar[bool] = True

    collection: str
    refused: int
    code: int
    message: str

    def __str__(self) -> str:
        return (
            f"MongoDB refused {self.refused:,} document(s) for {self.collection}; the first with code {self.code}: "
            f"{self.message}. Load is safe to run again once the cause is gone."
        )


@dataclass(eq=False)
class NoUniqueIndex(FanoutError):
    """The collection can't have the unique index that makes load safe to repeat."""

    collection: str
    key: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return (
            f"{self.collection} can't have a unique index on {' + '.join(self.key)}: {self.why}. Nothing was written; "
            "remove what stands in the way, or give the report another key or collection, and clear load."
        )


@dataclass(eq=False)
class SwapLost(FanoutError):
    """The temporary collection of a swap was taken away from the load that filled it."""

    retry: ClassVar[bool] = True

    collection: str

    def __str__(self) -> str:
        return (
            f"A newer load of {self.collection} has taken over: this one was an older try of the same run, or hadn't "
            "been heard of for minutes. Readers saw nothing of it; load is safe to run again."
        )


@dataclass(eq=False)
class MongoFailed(FanoutError):
    """MongoDB can't be reached, or refuses what load asks for."""

    retry: ClassVar[bool] = True

    collection: str
    what: str
    message: str

    def __str__(self) -> str:
        return (
            f"MongoDB failed while {self.collection} was written ({self.what}: {self.message}). "
            "Load is safe to run again once the cause is gone."
        )
