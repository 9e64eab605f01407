"""libcurl by a script: handles that have their answers at once, so that only the engine's own work is left to count."""

from __future__ import annotations

import socket
from typing import Any

import pycurl

HEAD = (
    b"HTTP/1.1 200 OK\r\n",
    b"Content-Type: application/json\r\n",
    b"Server: script\r\n",
    b"Date: Mon, 23 Nov 2026 09:00:00 GMT\r\n",
    b"Content-Length: 500\r\n",
    b"\r\n",
)


class Kept:
    """A connection that is kept, and has brought nothing: the one that all handles use."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._socket = socket.create_connection(listening.getsockname())
            self._other, _ = listening.accept()
        (server, server_port), (ours, our_port) = self._socket.getpeername(), self._socket.getsockname()
        self.ends = server, ours, server_port, our_port

    @property
    def number(self) -> int:
        """The number of its socket."""
        return self._socket.fileno()


class ScriptedEasy:
    """A handle that remembers what it is told, and answers with a body."""

    def __init__(self, body: bytes, kept: Kept) -> None:
        self.options: dict[int, Any] = {}
        self._body = body
        self._ends = kept.ends

    def setopt(self, option: int, value: Any) -> None:
        """Remember an option."""
        self.options[option] = value

    def getinfo(self, info: int) -> int:
        """Say that all went well."""
        return 200 if info == pycurl.RESPONSE_CODE else 0

    def close(self) -> None:
        """Nothing is open."""

    def answer(self) -> None:
        """Ask whether to send, then hand over the answer as libcurl does: header by header, then the body."""
        self.options[pycurl.PREREQFUNCTION](*self._ends)
        receive = self.options[pycurl.HEADERFUNCTION]
        for line in HEAD:
            receive(line)
        self.options[pycurl.WRITEFUNCTION](self._body)


class ScriptedMulti:
    """A set of handles that all have their answers with the next call."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._added: list[ScriptedEasy] = []
        self._ended: list[ScriptedEasy] = []

    def setopt(self, option: int, value: Any) -> None:
        """Tell who wants to hear of sockets that the connection is open."""
        if option == pycurl.M_SOCKETFUNCTION:
            value.__self__.opened(self._kept.number, 0)

    def add_handle(self, easy: ScriptedEasy) -> None:
        """Begin a transfer."""
        self._added.append(easy)

    def remove_handle(self, _easy: ScriptedEasy) -> None:
        """Forget a transfer."""

    def socket_action(self, _socket: int, _bits: int) -> None:
        """Let all transfers come to their end."""
        for easy in self._added:
            easy.answer()
        self._ended, self._added = self._ended + self._added, []

    def socket_all(self) -> None:
        """Let all transfers come to their end."""
        self.socket_action(0, 0)

    def info_read(self) -> tuple[int, list[ScriptedEasy], list[Any]]:
        """Tell which have ended."""
        ended, self._ended = self._ended, []
        return 0, ended, []

    def timeout(self) -> int:
        """Ask to be called again at once while there is anything to do."""
        return 0 if self._added else -1

    def close(self) -> None:
        """Nothing is open."""
