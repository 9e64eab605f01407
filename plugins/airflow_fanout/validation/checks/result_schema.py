"""The form of a result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Record
from airflow_fanout.staging.history import GoodRun
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.running import CheckContext, RunningCheck, Samples


class ResultSchema(Check, frozen=True):
    """Every good result fits a JSON Schema (https://json-schema.org, draft 2020-12 unless `$schema` says another).

    :param schema: the schema, as a dict; it may refer to parts of itself only. A `format` is demanded, too.
    """

    schema: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.schema, Mapping):
            raise BadSetting("schema", self.schema, "a JSON Schema, as a dict")
        _validator(self.schema)

    def __str__(self) -> str:
        return "ResultSchema"

    def watch(self, case: CheckContext) -> RunningCheck:
        """Begin to look at a run."""
        return _SchemaWatch(_validator(self.schema), case)


def _validator(schema: Mapping[str, Any]) -> Any:
    # Compiled, so that it can look at every result; loaded by the reports that use it only.
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(dict(schema), validate_formats=True, retriever=_elsewhere)
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"[{step!r}]" for step in error.instance_path)
        value = error.instance if place else dict(schema)
        raise BadSetting(f"schema{place}", value, f"a JSON Schema ({error.message})") from error
    except ValueError as error:
        raise BadSetting("schema", dict(schema), f"a JSON Schema ({error})") from error


def _elsewhere(address: str) -> Json:
    # The library would ask the network or the disk for it, whenever the DAG file is parsed.
    raise ValueError(f"{address} is outside of the schema; put it under $defs")


class _SchemaWatch(RunningCheck):
    def __init__(self, validator: Any, case: CheckContext) -> None:
        self._validator = validator
        self._shown = case.shown
        self._found = Samples(case)

    def add(self, record: Record) -> None:
        result = record.result
        if not self._validator.is_valid(result):
            self._found.add(record, lambda: self._fault(result))

    def problem(self, now: GoodRun) -> str | None:  # noqa: ARG002 - other checks compare
        return f"{self._found.count:,} results don't fit{self._found}" if self._found.count else None

    def _fault(self, result: Json) -> str:
        fault = next(iter(self._validator.iter_errors(result)))
        if self._shown:
            return f"{_joined(fault.instance_path)}: {fault.message}"
        # The message quotes the value, and the path the names of its fields; the schema is the author's own.
        path = _unquoted(fault.instance_path, result, {str(step) for step in fault.schema_path})
        return f"{_joined(path)} breaks {_joined(fault.schema_path)}"


def _joined(path: Iterable[object]) -> str:
    return "/".join(map(str, path)) or "the result"


def _unquoted(path: Iterable[str | int], value: Json, known: set[str]) -> Iterator[str]:
    for step in path:
        if isinstance(value, list) and isinstance(step, int):
            yield str(step)
            value = value[step]
        else:
            # A number here is the name of a field that looks like one.
            yield step if isinstance(step, str) and step in known else "…"
            value = value.get(step) if isinstance(value, dict) else None
