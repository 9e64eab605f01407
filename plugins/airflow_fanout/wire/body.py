"""The JSON of an answer's body, on whichever way it has come: its charset, and why it can't be read."""

from __future__ import annotations

import codecs
import re

from airflow_fanout import codec
from airflow_fanout.codec import Json

_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)
# The longest first: UTF-32's mark begins as UTF-16's does.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# JSON begins with a character of ASCII, so the zeros around it tell the encoding (RFC 4627, 3).
_ZEROS = (
    (re.compile(rb"\0\0\0[^\0]"), "utf-32-be"),
    (re.compile(rb"[^\0]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0[^\0]"), "utf-16-be"),
    (re.compile(rb"[^\0]\0"), "utf-16-le"),
)
# What the parser says of it, what it looks like, and what it is.
_REASONS = (
    (
        "trailing",
        re.compile(rb"[}\]]\s*\n\s*[{\[]"),
        "it is several JSON values, one after the other, as in JSON Lines",
    ),
    ("out of range", re.compile(rb"[0-9]{300}"), "it has a number that is too long"),
    ("invalid character", re.compile(rb"(?:^|[\[{:,\s])\s*-?(?:NaN|Infinity)\b"), "it has NaN or Infinity"),
    ("", re.compile(rb"(?i)\\ud[89a-f]"), "it has half of a surrogate pair, which is no character"),
)


class BadBody(ValueError):
    """A body that isn't of the form that it should have; the message says where. Nothing of the body is in it."""


def charset_of(content_type: str | None) -> str | None:
    """Return the charset that a `Content-Type` names; `None` if it names none, or UTF-8, which JSON is anyway."""
    match = _CHARSET.search(content_type or "")
    return None if match is None or match[1].lower() in ("utf-8", "utf8") else match[1]


def text_of_body(body: bytes, charset: str | None = None) -> str:
    """Return a body as a text: by its byte order mark, else by its charset if there is one, else as UTF-8.

    :raises BadBody: when it isn't written so.
    """
    name = next((name for mark, name in _MARKS if body.startswith(mark)), None) or charset or "utf-8"
    try:
        return body.decode(name).removeprefix("\ufeff")
    except LookupError:
        raise BadBody(f"its charset {name[:40]!r} is unknown") from None
    except (UnicodeError, ValueError):
        raise BadBody(f"it isn't written in its charset {name[:40]!r}") from None


def read_json(body: bytes, charset: str | None = None) -> Json:
    """Return the value that a body holds.

    A byte order mark tells its encoding, else the charset does, if there is one; else it is UTF-8 (RFC 8259, 8.1), or
    what the zeros at its beginning say.

    :raises NotJson: when there is none, with the reason.
    """
    problem = None
    if charset is None:
        try:
            return codec.decode(body)
        except codec.NotJson as error:
            problem = error
    marked = next((name for mark, name in _MARKS if body.startswith(mark)), None)
    guessed = next((name for zeros, name in _ZEROS if zeros.match(body)), None)
    # Without a mark, these don't say which of two bytes comes first.
    is_vague = charset is None or charset.lower() in ("utf-16", "utf16", "utf-32", "utf32")
    name = marked or (guessed if is_vague else None) or charset
    if name is None:
        raise codec.NotJson(reason(body, str(problem))) from problem
    return _decoded(body, name)


def _decoded(body: bytes, charset: str) -> Json:
    try:
        text = body.decode(charset).removeprefix("\ufeff").encode()
    except LookupError:
        raise codec.NotJson(f"its charset {charset[:40]!r} is unknown") from None
    except (UnicodeError, ValueError):
        raise codec.NotJson(f"it isn't written in its charset {charset[:40]!r}") from None
    try:
        return codec.decode(text)
    except codec.NotJson as error:
        raise codec.NotJson(f"{reason(text, str(error))} (read as {charset[:40]})") from error


def reason(body: bytes, problem: str) -> str:
    """Return why a body isn't JSON, in words; `problem` is the parser's. Nothing of the body is in it."""
    if not body.strip():
        return "it is empty"
    if body.lstrip()[:1] == b"<":
        return f"it looks like HTML or XML ({problem})"
    for about, sign, words in _REASONS:
        if about in problem and sign.search(body):
            return f"{words} ({problem})"
    return problem
