"""MongoDB's errors in words, without a value of any document: what the server quotes may be personal data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from airflow_fanout.privacy.quoting import HIDDEN, field_name, quoted

DUPLICATE_KEY = 11000
VALIDATION = 121
# What the driver appends to the cause of a failure: its own time limits, and all that it knows of the servers.
DUMP = re.compile(r"(?s) \(configured timeouts:.*|, Timeout: .*|, full error: .*")
# Whole documents and texts, as the server prints them.
PRINTED = re.compile(r"(?s)\{.*\}|\[.*\]|\"(?:[^\"\\]|\\.)*\"|(?<!\w)'(?:[^'\\]|\\.)*'")
SHOWN_RULE = re.compile(r"[\w ,.$<>=+-]{1,60}")
# They are about a whole document, and say nothing by themselves.
WHOLE = frozenset({"$jsonSchema", "$and", "properties"})
INDEX = re.compile(r" index: (\S+)(?: |$)")


def without_dump(text: str) -> str:
    """Return the driver's words without its description of the whole topology."""
    return DUMP.sub("", text)


def cause_of(error: PyMongoError) -> str:
    """Return in a few words what an error is about: of a connection why it failed, of an operation its name."""
    if isinstance(error, ConnectionFailure):
        return without_dump(str(error)) or type(error).__name__
    if not isinstance(error, OperationFailure):
        return f"{type(error).__name__}: {_words(str(error), ())}"
    details: Mapping[str, Any] = error.details or {}
    name = details.get("codeName") or type(error).__name__
    words = _words(str(details.get("errmsg", "")), ())
    return f"{name}, code {error.code}{': ' if words else ''}{words}"


def _words(text: str, values: Iterable[Any]) -> str:
    return quoted(PRINTED.sub(HIDDEN, without_dump(text)), values)


def refusal(error: Mapping[str, Any], document: Any) -> str:
    """Return why the server refuses a document.

    :param error: as it stands in `writeErrors`.
    :param document: the document, of which nothing is to be shown.
    """
    code = int(error.get("code", 0))
    text = str(error.get("errmsg", ""))
    if code == VALIDATION:
        rules = list(dict.fromkeys(filter(None, unmet(error.get("errInfo", {}).get("details", {})))))
        return f"the collection's validator: {'; '.join(rules) or 'MongoDB says no more about it'}"
    if code == DUPLICATE_KEY:
        fields = " + ".join(map(field_name, error.get("keyPattern", {})))
        index = INDEX.search(text)
        return f"the unique index {index[1] if index else ''} on {fields}: another document has the same value"
    return f"code {code}: {_words(text, [document])}"


def unmet(details: Mapping[str, Any], field: str = "") -> Iterator[str]:
    """Yield the rules of a validator that a document doesn't meet, each with its property, from MongoDB's `errInfo`.

    https://www.mongodb.com/docs/manual/core/schema-validation/ has its form: a tree of operators.
    """
    inner = list(_inner(details, field))
    inner_rules = [rule for part, path in inner for rule in unmet(part, path)]
    if own := _own_rule(details, field):
        yield own
    yield from inner_rules
    name = str(details.get("operatorName", ""))
    if not own and not inner_rules and name not in WHOLE:
        yield f"{_place(field)}: {name}" if name else ""


def _inner(details: Mapping[str, Any], field: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the operators inside of one, each with the property that it is about."""
    for rule in details.get("schemaRulesNotSatisfied", ()):
        yield rule, field
    for clause in details.get("propertiesNotSatisfied", ()):
        name = field_name(clause["propertyName"])
        yield from ((rule, f"{field}.{name}" if field else name) for rule in clause.get("details", ()))
    for clause in (*details.get("clausesNotSatisfied", ()), *details.get("schemasNotSatisfied", ()), details):
        nested = clause.get("details")
        rules = nested if isinstance(nested, list) else [nested]
        yield from ((rule, field) for rule in rules if isinstance(rule, Mapping))


def _own_rule(details: Mapping[str, Any], field: str) -> str | None:
    if missing := details.get("missingProperties"):
        names = ", ".join(repr(f"{field}.{name}" if field else name) for name in map(field_name, missing))
        return f"property {names} is missing"
    if extra := details.get("additionalProperties"):
        names = ", ".join(map(field_name, extra)) if isinstance(extra, list) else "some"
        return f"{_place(field)}: has properties that the schema doesn't know ({names})"
    if "reason" not in details:
        return None
    name, rule = str(details.get("operatorName", "")), details.get("specifiedAs", {})
    if not field and isinstance(rule, Mapping):
        field = next((field_name(key) for key in rule if not str(key).startswith("$")), "")
    kind = f" (it is: {details['consideredType']})" if "consideredType" in details else ""
    # What a rule says is shown if that is short, such as a type or a least value.
    while isinstance(rule, Mapping) and len(rule) == 1:
        rule = next(iter(rule.values()))
    text = ", ".join(map(str, rule)) if isinstance(rule, list) else str(rule)
    shown = f" {text}" if not isinstance(rule, Mapping) and SHOWN_RULE.fullmatch(text) else ""
    return f"{_place(field)}: {name}{shown}: {details['reason']}{kind}"


def _place(field: str) -> str:
    return f"property {field!r}" if field else "the document"
