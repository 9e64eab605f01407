"""Answers with a status of 2xx that say in their bodies that the request has failed: `failed_if` and `retry_if`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_fanout.api.answers import Condition
from airflow_fanout.api.failures import short
from airflow_fanout.api.request import Request
from airflow_fanout.api.result import shown, steps_of
from airflow_fanout.api.template import text_of
from airflow_fanout.codec import Json
from airflow_fanout.engine.transport.authors import RequestFunction
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.privacy.redaction import Secrets

# Gives what an answer says of its failure, `None` if it says nothing of one.
Complaint = Callable[[Json], str | None]


class AnswerJudge:
    """Finds the failures in decoded answers, as a request's author has described them.

    :param secrets: what is taken out of what the answers say, and of the messages of the author's exceptions.
    """

    def __init__(self, request: Request, secrets: Secrets) -> None:
        # What is worth another attempt is often one of the failures.
        self._secrets = secrets
        conditions = (("retry_if", request.retry_if), ("failed_if", request.failed_if))
        self._tests = [
            (name, _complaint(name, condition, secrets)) for name, condition in conditions if condition is not None
        ]

    def outcome(self, answer: Json, status: int, pause_s: float | None) -> Outcome | None:
        """Return the outcome of an answer that says that it is a failure; `None` for any other.

        :raises CallFailed: when a function fails, or returns what can't be used.
        """
        for name, complaint in self._tests:
            if (text := complaint(answer)) is not None:
                failure, is_passing = Failure(name, short(self._secrets.hide(text))), name == "retry_if"
                return Outcome(
                    Kind.API_ERROR, status=status, failure=failure, retry_after_s=pause_s, is_passing=is_passing
                )
        return None


def _complaint(field: str, condition: Condition, secrets: Secrets) -> Complaint:
    if callable(condition):
        return _by_function(RequestFunction(field, condition, secrets))
    if isinstance(condition, Mapping):
        return _by_values(condition)
    steps, name = steps_of(condition), shown(condition)

    def complain(answer: Json) -> str | None:
        value = part_of(answer, steps)
        return f"{name}: {text_of(value)}" if value else None

    return complain


def _by_values(values: Mapping[str, Json]) -> Complaint:
    expected = {
        path: (steps_of(path), value if isinstance(value, list | tuple) else [value]) for path, value in values.items()
    }

    def complain(answer: Json) -> str | None:
        parts = {path: part_of(answer, steps) for path, (steps, _) in expected.items()}
        is_all = all(any(_is_same(parts[path], value) for value in among) for path, (_, among) in expected.items())
        return "; ".join(f"{path!r}: {text_of(part)}" for path, part in parts.items()) if is_all else None

    return complain


def _by_function(function: RequestFunction) -> Complaint:
    def complain(answer: Json) -> str | None:
        verdict = function(answer)
        if verdict is None or verdict is False or verdict == "":
            return None
        if verdict is True:
            return "the function says so"
        if isinstance(verdict, str):
            return verdict
        raise function.refused(f"returned a value of type {type(verdict).__name__}: expected true, false, or a text")

    return complain


def part_of(answer: Json, steps: tuple[str, ...]) -> Json:
    """Return what a path leads to in an answer, `None` if that isn't there."""
    for step in steps:
        if isinstance(answer, dict):
            answer = answer.get(step)
        elif isinstance(answer, list) and step.isdecimal() and int(step) < len(answer):
            answer = answer[int(step)]
        else:
            return None
    return answer


def _is_same(part: Json, expected: Json) -> bool:
    # In Python, true equals 1.
    return isinstance(part, bool) is isinstance(expected, bool) and bool(part == expected)
