"""JSON in and out, in one place.

msgspec is as fast as any parser, refuses what isn't JSON (NaN, broken UTF-8), and keeps integers of any size:
an account number of twenty digits must not come back as a float.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import msgspec

# What JSON can hold. A recursive alias would be exact, and unreadable in every error of the type checker.
Json: TypeAlias = Any
Form = TypeVar("Form")

BOM = b"\xef\xbb\xbf"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_canonical = msgspec.json.Encoder(order="deterministic")
_strict = json.JSONEncoder(allow_nan=False, ensure_ascii=False)


class NotJson(ValueError):
    """A value or a text that JSON can't hold; the message says where."""


def decode(text: bytes | str) -> Json:
    """Parse one JSON text; raise `NotJson` with the position of the fault."""
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        # A thousand brackets are no reason for a whole run to end.
        raise NotJson("it is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeError) as error:
        # RFC 8259, 8.1: a parser may ignore a byte order mark, which some servers send.
        if isinstance(text, bytes) and text.startswith(BOM) and not text.startswith(BOM + BOM):
            return decode(text[len(BOM) :])
        raise NotJson(str(error)) from error


def decoder(form: type[Form]) -> Callable[[bytes], Form]:
    """Return a function that parses a JSON object into a struct's fields; it raises `NotJson` for what doesn't fit.

    Fields that the struct doesn't have are passed over, unread.
    """
    # JSON has no paths and no counters: a text or an object stands for them.
    parse = msgspec.json.Decoder(form, dec_hook=lambda kind, value: kind(value)).decode

    def decoded(text: bytes) -> Form:
        try:
            return parse(text)
        except RecursionError as error:
            raise NotJson("it is nested too deeply") from error
        except (msgspec.DecodeError, UnicodeError) as error:
            raise NotJson(str(error)) from error

    return decoded


# Parses one JSON text that this package has written itself.
decode_known: Callable[[bytes], Json] = _decoder.decode

# Writes a value that is known to be JSON, without line breaks.
encode: Callable[[Json], bytes] = _encoder.encode

# Writes several such values, each with a line break after it.
encode_lines: Callable[[Sequence[Any]], bytes] = _encoder.encode_lines


def canonical(value: Json) -> bytes:
    """Write a value so that equal values give equal bytes, whatever the order of their fields."""
    return _canonical.encode(value)


def plain(value: object) -> Json:
    """Return an author's value as plain JSON (a tuple becomes a list); raise `NotJson` for anything else.

    The standard library is the strict one here: it refuses dates, bytes, sets and NaN, which faster encoders
    turn into something else without a word.
    """
    try:
        return decode(_strict.encode(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
