from __future__ import annotations

import ast
import pickle
from dataclasses import fields
from typing import Any

import pytest

from airflow_fanout.api.errors import UnknownField
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.errors import EngineDied, TooFewFiles, Tripped
from airflow_fanout.sources.errors import EmptyList
from tests.kinds import PACKAGE, error_kinds

KINDS = [kind for kind in error_kinds() if kind is not FanoutError]
# What an error has of the kind that it derives from, and says in words of its own.
UNSAID = {
    "AsyncFunction": {"why"},
    # What the problem says, for the code that adds up several.
    "BadConnection": {"is_missing"},
    "BudgetWait": {"has_moved"},
    "ConnectionsGivenUp": {"is_passing"},
    "LongWait": {"waits_for", "has_moved"},
    "WrongArgument": {"field", "value"},
}
# One value for each type that a field has, by its annotation.
VALUES: dict[str, Any] = {
    "str": "a text",
    "int": 4711,
    "float": 17.0,
    "bool": True,
    "object": ("a", 7),
    "tuple[str, ...]": ("tel", "day"),
    "Mapping[str, str]": {"shop_1": "a text"},
}
OTHERS: dict[str, Any] = {
    "str": "other",
    "int": 12,
    "float": 3.0,
    "bool": False,
    "object": "other",
    "tuple[str, ...]": ("other",),
    "Mapping[str, str]": {"shop_2": "other"},
}


def made(kind: type[FanoutError]) -> FanoutError:
    """Return an error of a kind with a value in every field."""
    return kind(**{field.name: VALUES[str(field.type)] for field in fields(kind)})


def test_each_error_is_in_the_errors_of_its_room() -> None:
    """No other module than one whose name ends so defines one, so that these tests find all of them."""
    names = {kind.__name__ for kind in error_kinds()}
    elsewhere = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path in PACKAGE.rglob("*.py")
        if not path.name.endswith("errors.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and {ast.unparse(base).rpartition(".")[2] for base in node.bases} & names
    ]
    assert elsewhere == []
    assert len({kind.__module__ for kind in KINDS}) >= 10


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_crosses_processes_whole(kind: type[FanoutError]) -> None:
    """An error that was pickled has the same type, fields and text, and its notes."""
    error = made(kind)
    error.add_note("seen in a test")
    there = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(there) is kind
    assert str(there) == str(error)
    assert vars(there) == vars(error)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_says_each_of_its_fields(kind: type[FanoutError]) -> None:
    """No field is there for nothing: another value gives another text."""
    for field in fields(kind):
        if field.name in UNSAID.get(kind.__name__, ()):
            continue
        values = {other.name: VALUES[str(other.type)] for other in fields(kind)}
        changed = kind(**{**values, field.name: OTHERS[str(field.type)]})
        assert str(changed) != str(made(kind)), field.name


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_a_sentence(kind: type[FanoutError]) -> None:
    """A text has no empty places and no doubled signs, and isn't the field's repr; the lines of a list are indented."""
    text = "\n".join(line.lstrip() for line in str(made(kind)).splitlines())
    assert text
    assert not {"..", "  ", "None", "()"} & {text[place : place + 2] for place in range(len(text))}
    assert kind.__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_whether_to_retry_is_said(kind: type[FanoutError]) -> None:
    """What the world does may pass; what somebody wrote, or what was damaged, does not."""
    engine = {"EngineDied", "EngineFailed", "EngineStopped", "LongWait", "BudgetWait", "Tripped", "ApiDown"}
    engine |= {"ConnectionsGivenUp"}
    files = {"StagingFailed", "TemporaryFailed", "StorageFailed", "StagingErasing", "NotErased", "NotPutUp"}
    mongo = {
        "CountMismatch",
        "WriteRefused",
        "SwapLost",
        "MongoFailed",
        "MongoUnreachable",
        "TargetChanged",
        "FindFailed",
    }
    passes = (
        engine | files | mongo | {"TokenEndpointDown", "RefreshTokenBusy", "BadSource", "NotReachable", "LoadBroke"}
    )
    assert made(kind).retry is (kind.__name__ in passes)


def test_a_trip_says_what_was_requested_and_what_was_not() -> None:
    """A breaker that has tripped on a wrong endpoint isn't cured by trying again; one on a busy API may be."""
    facts: dict[str, Any] = {"sample": 50, "failed": 50, "of_cause": 48, "cause": "HTTP 404", "fix": "Fix the endpoint"}
    tripped = Tripped(**facts, total=1_500, begun=50, under_way=0, transient=False)
    assert tripped.retry is False
    assert str(tripped) == (
        "Stopped after 50 of 1,500 parameters: all 50 failed, 48 of them with HTTP 404. The other 1,450 were not "
        "requested. Fix the endpoint, then clear this task."
    )
    later = Tripped(**facts | {"sample": 80}, total=1_500, begun=90, under_way=10, transient=True)
    assert later.retry is True
    assert str(later) == (
        "Stopped after 80 of 1,500 parameters: 50 failed, 48 of them with HTTP 404. The other 1,410 were not requested."
        " 10 more were in flight and have no outcome. The next try of this task requests the rest. If it also "
        "fails, fix the endpoint."
    )


def test_errors_stay_different_things() -> None:
    """Two errors with equal fields are two events: they can be in a set and be chained."""
    first, second = made(EmptyList), made(EmptyList)
    assert len({first, second}) == 2


def test_a_limit_below_the_reserve_has_no_possible_concurrency() -> None:
    """The way out isn't "a concurrency of at most 0"."""
    text = str(TooFewFiles(32, 96, 60, 0))
    assert "96" in text
    assert "60" in text
    assert "at most 0" not in text
    assert "Raise the worker's limit" in text
    assert "at most 192" in str(TooFewFiles(300, 364, 256, 192))


def test_an_engine_without_last_words() -> None:
    """An engine that said nothing isn't quoted."""
    assert "last output" not in str(EngineDied("was ended by SIGKILL", ""))
    assert "Its last output was: MemoryError" in str(EngineDied("ended with code 1", "MemoryError"))


def test_a_slip_far_from_any_field_gets_no_suggestion() -> None:
    """A guess is only offered where it is near."""
    assert "Did you mean" not in str(UnknownField("query", "zzz", ("tel",)))
    assert "no fields" in str(UnknownField("query", "zzz", ()))
