"""What may be quoted of a message that somebody else has written: its words, without those that are data.

An exception of a report's function, or MongoDB's reason for refusing a document, may hold any part of a parameter or
of a result. Whatever stands there as well is hidden, a word at a time; so is any long number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

HIDDEN = "…"
# The name of a field, or of a Python attribute; one with a long number is a value that was made a name.
NAME = re.compile(r"\w[\w.-]{0,63}")
LONG_NUMBER = re.compile(r"\d{4,}")
WORD = re.compile(r"\w+")
LONGEST = 500


def quoted(text: str, values: Iterable[Any]) -> str:
    """Return a foreign message without the words that stand in one of the values, too.

    :param values: parameters, results or documents: texts, numbers, or objects and lists of these.
    """
    hidden = {word.lower() for value in values for leaf in leaves(value) for word in WORD.findall(leaf)}

    def shown(match: re.Match[str]) -> str:
        word = match[0]
        return HIDDEN if word.lower() in hidden or LONG_NUMBER.search(word) else word

    text = WORD.sub(shown, text[: 4 * LONGEST])
    text = re.sub(rf"{HIDDEN}(?:[\W_]{{1,2}}{HIDDEN})+", HIDDEN, text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}{HIDDEN}"


def field_name(name: object) -> str:
    """Return the name of a field as it may be shown: one that isn't like a name may be somebody's number."""
    text = str(name)
    return text if NAME.fullmatch(text) and not LONG_NUMBER.search(text) else HIDDEN


def leaves(value: Any) -> Iterator[str]:
    """Yield the texts and numbers that a value holds, at any depth, each as a text.

    A field's name is one of them if it isn't like a name.
    """
    stack = [value]
    seen: set[int] = set()
    while stack:
        part = stack.pop()
        if isinstance(part, Mapping | list | tuple | set | frozenset):
            if id(part) in seen:  # a value that holds itself has no end
                continue
            seen.add(id(part))
            if isinstance(part, Mapping):
                yield from (str(name) for name in part if field_name(name) == HIDDEN)
                stack.extend(part.values())
            else:
                stack.extend(part)
        elif part is not None and not isinstance(part, bool):
            yield str(part)
