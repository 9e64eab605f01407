"""Raw HTTP answers out of a seed: what real servers send, and what none should."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from dataclasses import dataclass
from random import Random
from typing import Any

BLANKS = ["", " ", "  ", "\t"]
GOOD_STATUSES = ["200 OK"] * 30 + ["201 Created", "203 Non-Authoritative", "206 Partial Content", "299 So", "200"]
# No 429: each lowers the rate of requests, as it has to, and the last ones of thousands would come by one a second.
OTHER_STATUSES = [
    "204 No Content", "205 Reset Content", "300 Multiple Choices", "302 Found", "304 Not Modified", "400 Bad Request",
    "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone", "418 Teapot", "421 Misdirected",
    "500 Internal Server Error", "503 Service Unavailable", "599 ", "600 Odd", "999 Odder",
]  # fmt: skip
ODD_STATUS_LINES = [
    "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/2 200 OK", "HTTP/1.2 200 OK", "http/1.1 404 Not",
    "ICY 200 OK", "", " HTTP/1.1 200 OK", "HTTP/1.1 099 No", "HTTP/1.1\t200 OK", "HTTP/1.1 200OK", "HTTP/11 200 OK",
    "HTTP/1.1 2x0 OK", "220 mail.example.com ESMTP", "HTTP/1.1 200 \0", "HTTP/1.1 200 O\rK", "HTTP/1.1", "HTTP/0.9 200",
]  # fmt: skip
INTERIM = ["100 Continue", "102 Processing", "103 Early Hints", "150", "199 Whatever"]
ODD_LINES = [
    b"no colon at all", b"X-Nul: a\0b", b"X-Cr: a\rb", b": no name", b"X Y: blank in the name", b"X-Latin: \xf6\xfc",
    b"X-Empty:", b"X-Long: " + b"x" * 5_000, b"X-Folded: a\r\n b\r\n\tc", b"HTTP/1.1 500 X: y", b"X-Twice: 1\r\nX-Twice: 2",
    b"Date: never", b"Set-Cookie: a=1", b"Connection: keep-alive", b"Connection: Close", b"Trailer: X-T",
    b"Content-Length : 3", b"Location: /elsewhere\r\nLocation: /other", b"\tX: y",
]  # fmt: skip
CONSTANTS = [
    b"NaN", b"[Infinity]", b'{"a": -Infinity}', b'"\\ud800"', b'["\\udc00x"]', b'{"a": 1}\n{"a": 2}\n', b"", b" \r\n ",
    b"[1,]", b"{'a': 1}", b"[1] trailing", b"<html>", b'{"a": 1', b'["\x01"]', b'"\xff\xfe"', b"1e400", b"-0", b"-0.0",
    b"1e308", b"0.1", b"1.0", b'{"a": 1, "a": 2}', b'"\\u0000"', b"nul", b"tru", b"null", b"[]", b"{}", b'""', b"0", b"01",
    b"9" * 30, b"9" * 4_300, b"9" * 4_301, b"9" * 5_000, b"[" * 60 + b"]" * 60, b"[" * 400 + b"]" * 400,
    b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"\xef\xbb\xbf[1]", b"\xef\xbb\xbf\xef\xbb\xbf[1]", b"\0", b"[1]\0",
]  # fmt: skip
CHARSETS = [
    "utf-8", "UTF8", '"utf-8"', "latin-1", "iso-8859-1", "windows-1252", "utf-16", "utf-16le", "utf-16-be", "utf-32",
    "us-ascii", "nonsense", "hex", "utf-7", "shift_jis", "koi8-r",
]  # fmt: skip


@dataclass(frozen=True)
class Raw:
    """What a server sends.

    :param pieces: the bytes, in one write each.
    :param closes: whether it closes the connection after them.
    """

    pieces: tuple[bytes, ...]
    closes: bool


class Generator:
    """Makes answers: the same seed and number, the same answer."""

    def __init__(self, seed: int, number: int) -> None:
        self._random = Random(f"{seed}/{number}")
        self._end = b"\n" if self._rarely(0.03) else b"\r\n"
        self._lines: list[bytes] = []
        # Whether the answer's end shows without the connection's.
        self._is_delimited = True
        # Whether something comes after its end.
        self._is_too_long = False

    def answer(self) -> Raw:
        """Return the answer."""
        body = self._coded(self._typed(self._body()))
        status_line = self._status_line()
        framed = self._framed(body)
        if self._rarely(0.1):
            self._lines += self._random.choices(ODD_LINES, k=self._random.randint(1, 2))
        if self._rarely(0.01):
            self._lines += [b"X-Flood: 1"] * self._random.choice([90, 105, 300])
        self._random.shuffle(self._lines)
        if b"\tX: y" in self._lines:
            # It goes on with the line before, which may be the one that delimits the body.
            self._is_delimited = False
        head = self._end.join([status_line, *self._lines, b"", b""])
        if self._rarely(0.02):
            return Raw((b"".join([*self._interim(), head[: self._random.randrange(1, len(head))]]),), closes=True)
        data = b"".join([*self._interim(), head, framed, self._trailing()])
        return Raw(self._pieces(data), closes=not self._is_delimited or self._rarely(0.2))

    def _rarely(self, share: float) -> bool:
        return self._random.random() < share

    def _status_line(self) -> bytes:
        if self._rarely(0.04):
            self._is_delimited = False
            return self._random.choice(ODD_STATUS_LINES).encode("latin-1")
        statuses = OTHER_STATUSES if self._rarely(0.15) else GOOD_STATUSES
        version = "HTTP/1.0" if self._rarely(0.08) else "HTTP/1.1"
        status = self._random.choice(statuses)
        self._is_too_long = status[:3] in ("204", "304")
        return f"{version} {status}".encode()

    def _interim(self) -> list[bytes]:
        if not self._rarely(0.1):
            return []
        if self._rarely(0.05):
            self._is_delimited = False
            return [b"HTTP/1.1 101 Switching Protocols\r\n\r\n"]
        extra = self._random.choice([b"", b"Link: </a>; rel=preload\r\n", b"X-A: 1\r\n", b"Content-Length: 7\r\n"])
        return [
            f"HTTP/1.1 {self._random.choice(INTERIM)}\r\n".encode() + extra + b"\r\n"
            for _ in range(self._random.randint(1, 3))
        ]

    def _body(self) -> bytes:
        return self._random.choice(CONSTANTS) if self._rarely(0.35) else json.dumps(self._value(3)).encode()

    def _value(self, depth: int) -> Any:
        kind = self._random.randrange(9 if depth else 7)
        if kind == 7:
            return [self._value(depth - 1) for _ in range(self._random.randrange(4))]
        if kind == 8:
            return {f"k{self._random.randrange(5)}": self._value(depth - 1) for _ in range(self._random.randrange(4))}
        plain = [
            None,
            True,
            self._random.randrange(-9, 99),
            self._random.getrandbits(90),
            self._random.random(),
            "é€😀",
            "a",
        ]
        return plain[kind]

    def _typed(self, body: bytes) -> bytes:
        types = ["application/json", "text/plain", "text/html", "application/problem+json", "nonsense"]
        kind = self._random.choice(types)
        if self._rarely(0.3):
            charset = self._random.choice(CHARSETS)
            self._lines.append(f"Content-Type: {kind};{self._random.choice(BLANKS)}charset={charset}".encode())
            return self._in(charset.strip('"'), body) if self._rarely(0.7) else body
        if self._rarely(0.8):
            self._lines.append(f"Content-Type: {kind}".encode())
        if self._rarely(0.05):
            return self._random.choice([codecs.BOM_UTF16_LE, b""]) + self._in("utf-16-le", body)
        return body

    def _in(self, charset: str, body: bytes) -> bytes:
        try:
            return body.decode().encode(charset)
        except (LookupError, UnicodeError):
            return body

    def _coded(self, body: bytes) -> bytes:
        if not self._rarely(0.3):
            return body
        bare = zlib.compressobj(wbits=-15)
        zipped = _gzip(body)
        half = len(body) // 2
        members = _gzip(body[:half]) + _gzip(body[half:])
        name, coded = self._random.choice(
            [
                ("gzip", zipped), ("GZip", zipped), ("x-gzip", zipped), ("gzip", members), ("gzip", zipped + b"\0" * 9),
                ("gzip", zipped + b"junk"), ("gzip", zipped[:-9]), ("gzip", zipped[:-1]), ("gzip", b"no gzip"),
                ("gzip", members[:-5]), ("gzip", zipped + b"\x1f\x8b"), ("gzip", zipped + b"\x1f\x8bjunk"),
                ("deflate", zlib.compress(body)), ("deflate", bare.compress(body) + bare.flush()),
                ("deflate", zlib.compress(body)[:-6]), ("deflate", b"no deflate"), ("deflate", zlib.compress(body) + b"x"),
                ("UTF-8", body), ("utf-8, gzip", zipped), ("identity", body), ("", body), ("br", body), ("zstd", body),
                ("gzip, gzip", _gzip(zipped)), ("deflate, gzip", _gzip(zlib.compress(body))),
                ("gzip, identity", zipped), ("gzip", body), ("gzip", b""), ("none", body), (", gzip ,", zipped),
                ("gzip, gzip, gzip, gzip, gzip, gzip", zipped),
            ]
        )  # fmt: skip
        self._lines.append(f"Content-Encoding: {name}".encode())
        return coded

    def _framed(self, body: bytes) -> bytes:
        way = self._random.random()
        if way < 0.5:
            self._lines.append(b"Content-Length: %d" % len(body))
            return body
        if way < 0.62:
            self._is_delimited = False
            return body
        return self._odd_length(body) if way < 0.74 else self._chunked(body)

    def _odd_length(self, body: bytes) -> bytes:
        size = len(body)
        self._is_delimited = False
        lines = self._random.choice(
            [
                [str(size + 5)], [str(max(0, size - 2))], [str(size), str(size)], [str(size), str(size + 1)],
                [f"{size}, {size}"], [f"{size},{size + 1}"], [f"+{size}"], [f"{size} "], ["-1"], [""], ["many"],
                ["9" * 25], [f"0{size}"], [f"{size};x"], [f"0x{size:x}"], [str((1 << 24) + 1)], [f"{size}.0"],
            ]
        )  # fmt: skip
        self._lines += [f"Content-Length: {line}".encode() for line in lines]
        self._is_too_long = self._is_too_long or lines == [str(max(0, size - 2))]
        return body

    def _chunked(self, body: bytes) -> bytes:
        coding = self._random.choice(
            ["chunked"] * 12 + ["Chunked", "chunked, chunked", "gzip, chunked", "identity", "chunked, gzip"]
        )
        self._lines.append(f"Transfer-Encoding: {coding}".encode())
        if coding.lower() != "chunked":
            self._is_delimited = False
        if self._rarely(0.1):
            self._lines.append(b"Content-Length: %d" % self._random.choice([len(body), 3, 999]))
            self._is_delimited = False
        step = max(1, len(body) // self._random.randint(1, 4)) if len(body) > 1 else 1
        parts = [body[place : place + step] for place in range(0, len(body), step)]
        extension = self._random.choice([b"", b"", b";a=b", b' ; a="b"', b" "])
        size = self._random.choice([b"%x", b"%x", b"%X", b"00%x"])
        chunks = b"".join(size % len(part) + extension + b"\r\n" + part + b"\r\n" for part in parts)
        return chunks + self._last_chunk()

    def _last_chunk(self) -> bytes:
        if self._rarely(0.75):
            return self._random.choice(
                [b"0\r\n\r\n", b"0\r\n\r\n", b"000\r\n\r\n", b"0;x=y\r\n\r\n", b"0\r\nX-T: 1\r\n\r\n", b"0\n\n"]
            )
        self._is_delimited = False
        return self._random.choice(
            [b"", b"0", b"0\r\n", b"zz\r\n", b"5\r\nab", b"\r\n0\r\n\r\n", b"-1\r\n\r\n", b"0x0\r\n\r\n", b"11111111111111111\r\n", b"1_0\r\n",
             b"+0\r\n\r\n", b"0\r\nno colon\r\n\r\n", b"2\r\nabXX0\r\n\r\n"]
        )  # fmt: skip

    def _trailing(self) -> bytes:
        if not self._rarely(0.06):
            return b""
        self._is_too_long = True
        return self._random.choice([b"\r\n", b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[999]", b"\0" * 20])

    def _pieces(self, data: bytes) -> tuple[bytes, ...]:
        if len(data) < 2 or not self._rarely(0.2):
            return (data,)
        cut = self._random.randrange(1, len(data))
        # What comes after an answer's end in a piece of its own comes when the next request may be under way: nobody can
        # tell it from that one's answer (docs/operators.md, "The same answer on every way").
        return (data,) if self._is_too_long or b"Content-Length :" in data else (data[:cut], data[cut:])


def _gzip(data: bytes) -> bytes:
    # The same bytes on any day.
    return gzip.compress(data, mtime=0)
