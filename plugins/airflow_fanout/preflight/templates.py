"""What can be known of an Airflow template before it is rendered: the values that it asks for by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

# These are the task's own, and mean another task or moment when another task renders them.
OF_ITS_TASK = frozenset(
    {
        *("ti", "task_instance", "task_instance_key_str", "task", "try_number", "map_index_template"),
        *("expanded_ti_count", "inlets", "outlets", "inlet_events", "outlet_events", "task_state_store"),
        *("task_reschedule_count", "exception", "reason", "templates_dict"),
    }
)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
# A bare name that ends, or that a filter other than `default` takes. An attribute of an unknown name is an error of
# Jinja's own; an unknown name alone is an empty text.
_NAME = re.compile(r"\{\{-?\s*([^\W\d]\w*)\s*(?:-?\}\}|\|(?!\s*(?:default|d)\b))")
# What stands before a name that the template makes itself, such as {% set name = 1 %}.
_MADE = r"\{%-?\s*(?:set|for|macro|from|import)\b[^%]*\b"
_WORD = re.compile(r"(?<![\w.'\"])[^\W\d]\w*")
_WORDS_OF_JINJA = frozenset(
    {
        *("and", "or", "not", "in", "is", "if", "elif", "else", "endif", "for", "endfor", "set", "endset"),
        *("defined", "undefined", "filter", "endfilter"),
    }
)
# A text, and the name of a filter.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\|\s*\w+")
# Names that Jinja itself has.
_JINJAS = frozenset({"range", "dict", "lipsum", "cycler", "joiner", "namespace", "true", "false", "none"})
_JINJAS_TOO = frozenset({"True", "False", "None", "loop", "self", "caller", "super"})


def is_template(text: str) -> bool:
    """Tell whether Airflow would render something of a text."""
    return bool(_JINJA.search(text))


def without_templates(text: str) -> str:
    """Return a text without what Airflow renders."""
    return _JINJA.sub("", text)


def texts(value: Any) -> Iterator[str]:
    """Yield the texts of a value, however deep they stand."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from texts(part)


def unknown_names(value: Any, known: Collection[str]) -> list[str]:
    """Return the names that stand alone in a template and that nobody knows: Jinja makes an empty text of them."""
    names: list[str] = []
    for text in texts(value):
        names += [name for name in _NAME.findall(text) if not re.search(rf"{_MADE}{re.escape(name)}\b", text)]
    everybodys = {*known, *_JINJAS, *_JINJAS_TOO}
    return list(dict.fromkeys(name for name in names if name not in everybodys))


def roots(text: str) -> list[str]:
    """Return the names at which the expressions of a text's templates begin: `var` of `{{ var.value.key }}`."""
    words = (word for part in _JINJA.findall(text) for word in _WORD.findall(_QUOTED.sub("", part)))
    return [word for word in words if word not in _JINJAS | _JINJAS_TOO | _WORDS_OF_JINJA]


def of_its_task(value: Any) -> list[str]:
    """Return the values in templates that only their own task knows, such as `ti`."""
    words = (word for text in texts(value) for part in _JINJA.findall(text) for word in _WORD.findall(part))
    return list(dict.fromkeys(word for word in words if word in OF_ITS_TASK))


def unknown_text(field: str, name: str, names: Collection[str]) -> str:
    """Return what is wrong with `{{ name }}` where Airflow has no such value.

    :param names: those of the parameters' fields.
    """
    hint = f"for a field of the parameter write {{{name}}}, " if field == "request" or name in names else ""
    has = f"{field} has the template {{{{ {name} }}}}, and Airflow has no such value"
    return f"{has}, so an empty text would take its place: {hint}for a param of the run {{{{ params.{name} }}}}"
