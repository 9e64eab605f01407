"""A request in which values that are the same for all parameters are filled in, such as a key of an API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from airflow_fanout.api.compiled import segment
from airflow_fanout.api.request import Request
from airflow_fanout.api.template import Template, with_escaped_braces
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import KindOf


def filled(request: Request, values: Mapping[str, Json]) -> Request:
    """Return the request with the fields that values have replaced by them; the parameters' fields stay.

    A text of `query`, `json` or `form` that is exactly one field becomes the value itself, with its type.

    :raises BadSetting: for a value that can't stand where the request puts it; it isn't shown.
    """
    parts: dict[str, Any] = {
        "endpoint": _text(request.endpoint, values, segment),
        "headers": {name: _header(name, text, values) for name, text in request.headers.items()},
        "query": _tree(request.query, values),
        "json": _tree(request.json, values),
        "form": _tree(request.form, values),
    }
    if request.poll is not None:
        texts = {name.removeprefix("Poll."): _text(text, values, segment) for name, text in request.poll.texts}
        parts["poll"] = structs.replace(request.poll, **texts)
    return structs.replace(request, **parts)


def _tree(tree: Json, values: Mapping[str, Json]) -> Json:
    if isinstance(tree, Mapping):
        return {name: _tree(branch, values) for name, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return [_tree(branch, values) for branch in tree]
    if not isinstance(tree, str):
        return tree
    template = Template(tree)
    if template.literals == ("", "") and template.fields[0] in values:
        return _escaped(values[template.fields[0]])
    return _text(tree, values)


def _escaped(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {name: _escaped(branch) for name, branch in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(branch) for branch in value]
    return with_escaped_braces(value) if isinstance(value, str) else value


def _header(name: str, text: str, values: Mapping[str, Json]) -> str:
    if not any(field in values for field in Template(text).fields):
        return text
    whole = _text(text, values)
    if any(sign in whole for sign in "\r\n\0"):
        raise BadSetting(f"headers[{name!r}]", KindOf(text="a value with a line break"), "a text without line breaks")
    return whole


def _text(text: str, values: Mapping[str, Json], written: Callable[[Json], str] | None = None) -> str:
    template = Template(text)
    if not any(field in values for field in template.fields):
        return text
    pieces, literal = "", template.literals[0]
    for field, after in zip(template.fields, template.literals[1:], strict=True):
        if field in values:
            literal += _written(field, values[field], written) + after
        else:
            # A backslash means something before a brace, that of a field, too.
            backslashes = len(literal) - len(literal.rstrip("\\"))
            pieces += f"{with_escaped_braces(literal)}{literal[len(literal) - backslashes :]}{{{field}}}"
            literal = after
    return pieces + with_escaped_braces(literal)


def _written(name: str, value: Json, written: Callable[[Json], str] | None) -> str:
    """Return a value as it stands inside of a text."""
    try:
        return Template(f"{{{name}}}").filler(written)({name: value})
    except ValueError:
        unusable = KindOf(text="an empty text or dots")
        raise BadSetting(f"values[{name!r}]", unusable, "a value that can be a part of a path") from None
