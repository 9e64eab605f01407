"""A SOCKS proxy that runs for real: version 5 (RFC 1928, with RFC 1929), and version 4 with its addition 4a."""

from __future__ import annotations

import socket
from typing import Any, BinaryIO

from tests.http.servers import Connection, Hangup, Server

V4, V5 = 4, 5
NO_CREDENTIALS, BY_PASSWORD, NOTHING_FITS = b"\x00", b"\x02", b"\xff"
BY_NAME = 3


class Socks(Server):
    """Passes bytes on to a port of this machine, whatever the host is that it is asked for.

    :param login: the only name and password that it takes; without it, anybody may come.
    """

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        super().__init__(lambda *_: None)
        self.hosts: list[str] = []
        self._login = login

    def _converse(self, connected: socket.socket, connection: Connection) -> None:
        self._open.add(connected)
        try:
            file: Any = connected.makefile("rb", buffering=0)
            version = _read(file, 1)[0]
            port = self._fifth(file, connection) if version == V5 else self._fourth(file, connection)
            connection.tunnel("127.0.0.1", port)
        finally:
            self._open.discard(connected)

    def _fifth(self, file: BinaryIO, connection: Connection) -> int:
        methods = _read(file, _read(file, 1)[0])
        wanted = BY_PASSWORD if self._login else NO_CREDENTIALS
        if wanted not in methods:
            connection.send(b"\x05" + NOTHING_FITS)
            raise Hangup
        connection.send(b"\x05" + wanted)
        if self._login:
            _read(file, 1)
            given = tuple(_read(file, _read(file, 1)[0]).decode() for _ in range(2))
            connection.send(b"\x01" + (b"\x00" if given == self._login else b"\x01"))
            if given != self._login:
                raise Hangup
        kind = _read(file, 4)[3]
        self.hosts.append(_read(file, _read(file, 1)[0]).decode() if kind == BY_NAME else _address(file, kind))
        port = int.from_bytes(_read(file, 2), "big")
        connection.send(b"\x05\x00\x00\x01" + bytes(6))
        return port

    def _fourth(self, file: BinaryIO, connection: Connection) -> int:
        _read(file, 1)
        port = int.from_bytes(_read(file, 2), "big")
        address = _read(file, 4)
        _text(file)
        # 4a: an address that nobody has says that the name follows.
        has_name = address[:3] == bytes(3) and address[3]
        self.hosts.append(_text(file) if has_name else socket.inet_ntoa(address))
        connection.send(b"\x00\x5a" + bytes(6))
        return port


def _address(file: BinaryIO, kind: int) -> str:
    family, length = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
    return socket.inet_ntop(family, _read(file, length))


def _text(file: BinaryIO) -> str:
    found = b""
    while (letter := _read(file, 1)) != b"\0":
        found += letter
    return found.decode()


def _read(file: BinaryIO, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = file.read(count - len(found))
        if not piece:
            raise Hangup
        found += piece
    return found
