"""The `Link` header of an answer (RFC 8288), read by the algorithm of its appendix B."""

from __future__ import annotations

import re
from typing import NamedTuple

# RFC 9110, 5.6.3: optional whitespace.
_OWS = " \t"
_END_OF_NAME = re.compile(r"[ \t=;,]|$")
_END_OF_VALUE = re.compile(r"[;,]|$")


class Link(NamedTuple):
    """One link: its target as it is written, its relation types in lower case, and its anchor if it has one."""

    target: str
    relations: tuple[str, ...]
    anchor: str | None


def parse(text: str) -> tuple[list[Link], str]:
    """Return the links of a header's value, and the rest from where it can't be read.

    :param text: the values of all `Link` lines of one answer, joined by commas (RFC 9110, 5.3).
    """
    links: list[Link] = []
    rest = text.lstrip(_OWS + ",")
    while rest:
        target, closed, after = rest[1:].partition(">")
        if not rest.startswith("<") or not closed:
            return links, rest
        parameters, rest = _parameters(after)
        # The first of each name counts (3.3 for "rel"; B.2). "rel*" is another name than "rel", and has no meaning.
        first = dict(reversed(parameters))
        links.append(Link(target.strip(), tuple(first.get("rel", "").lower().split()), first.get("anchor")))
        if rest and not rest.startswith(","):
            return links, rest
        rest = rest.lstrip(_OWS + ",")
    return links, ""


def _parameters(text: str) -> tuple[list[tuple[str, str]], str]:
    """Return a link's parameters (B.3), their names in lower case, and what follows them."""
    parameters = []
    text = text.lstrip(_OWS)
    while text.startswith(";"):
        text = text[1:].lstrip(_OWS)
        end = _end(_END_OF_NAME, text)
        name, text, value = text[:end].lower(), text[end:].lstrip(_OWS), ""
        if text.startswith("="):
            text = text[1:].lstrip(_OWS)
            if text.startswith('"'):
                value, text = _quoted(text)
            else:
                end = _end(_END_OF_VALUE, text)
                value, text = text[:end].rstrip(_OWS), text[end:]
        if name:
            parameters.append((name, value))
        text = text.lstrip(_OWS)
    return parameters, text


def _quoted(text: str) -> tuple[str, str]:
    """Return what a quoted string says (B.4), without its escapes, and what follows it."""
    value, place = "", 1
    while place < len(text) and text[place] != '"':
        # A backslash at the very end escapes nothing.
        place += text[place] == "\\" and place + 1 < len(text)
        value += text[place]
        place += 1
    return value, text[place + 1 :]


def _end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.search(text)
    return match.start() if match else len(text)
