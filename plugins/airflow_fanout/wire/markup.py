"""XML as JSON, read by the standard library's expat, which here accepts no entity but XML's own five.

Entities of a document's own can make a few bytes gigabytes, or read files and addresses (OWASP, "XML External Entity
Prevention"); an unknown one, where there is a DTD that nobody reads, would be a text that is silently missing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NoReturn
from xml.parsers import expat

from airflow_fanout.codec import Json
from airflow_fanout.wire.body import BadBody, text_of_body

# XML 1.0, 4.3.3 and F.1: what a document says of its encoding is in ASCII, as long as it has no byte order mark.
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']""")
# JSON that is nested more deeply can't be read by everybody.
_DEEPEST = 500


def read_xml(body: bytes, charset: str | None, lists: Collection[str] = ()) -> Json:
    """Return a document as an object with its root element.

    An element is null if it has nothing, its text if it has nothing else, else an object: its attributes as `@name`,
    its text as `#text`, and its child elements by their names. Several children of one name are a list. Names keep
    their prefixes. Text of nothing but white space counts as none.

    :param lists: the names of elements that are always lists.
    :raises BadBody: with the line of what is wrong.
    """
    declared = _DECLARED.match(body)
    text = text_of_body(body, charset or (declared[1].decode() if declared else None))
    return _Reading(lists).read(text.encode())


class _Reading:
    def __init__(self, lists: Collection[str]) -> None:
        self._lists = frozenset(lists)
        self._document: dict[str, Json] = {}
        # For each element that is open: its object and its texts.
        self._open: list[tuple[dict[str, Json], list[str]]] = [(self._document, [])]
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._refuse
        self._parser.ExternalEntityRefHandler = self._refuse
        self._parser.SkippedEntityHandler = self._refuse

    def read(self, text: bytes) -> Json:
        try:
            self._parser.Parse(text, True)  # noqa: FBT003 - its own signature
        except expat.ExpatError as error:
            problem = expat.errors.messages[error.code]
            raise BadBody(f"line {error.lineno:,} isn't XML: {problem}") from error
        return self._document

    def _start(self, _name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > _DEEPEST:
            raise BadBody(f"line {self._parser.CurrentLineNumber:,}: it is nested too deeply")
        self._open.append(({f"@{name}": value for name, value in attributes.items()}, []))

    def _text(self, text: str) -> None:
        self._open[-1][1].append(text)

    def _end(self, name: str) -> None:
        element, texts = self._open.pop()
        text = "".join(texts)
        if element and text.strip():
            element["#text"] = text.strip()
        value: Json = element or (text if text.strip() else None)
        parent = self._open[-1][0]
        if name not in parent:
            is_list = name in self._lists and len(self._open) > 1
            parent[name] = [value] if is_list else value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]

    def _refuse(self, *_: Any) -> NoReturn:
        line = self._parser.CurrentLineNumber
        raise BadBody(f"line {line:,} has an entity of the document's own, and these aren't read")
