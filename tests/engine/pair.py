"""A connection of TCP whose number is told as libcurl tells it."""

from __future__ import annotations

import socket

from airflow_fanout.engine.libcurl.connections import Ends


class Pair:
    """A connection of TCP: our socket, whose number libcurl tells, and the server's."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.ours = socket.create_connection(listening.getsockname())
            self.theirs, _ = listening.accept()

    @property
    def number(self) -> int:
        """The number of our socket."""
        return self.ours.fileno()

    @property
    def ends(self) -> Ends:
        """Its ends, as libcurl tells them."""
        (server, server_port), (ours, our_port) = self.ours.getpeername(), self.ours.getsockname()
        return server, ours, server_port, our_port

    def close(self) -> None:
        """Close both."""
        self.ours.close()
        self.theirs.close()

    def bring(self, data: bytes = b"x") -> None:
        """Have the server send something, which is there when this returns."""
        self.theirs.send(data)
        assert self.ours.recv(len(data), socket.MSG_PEEK | socket.MSG_WAITALL) == data

    def read(self, data: bytes) -> None:
        """Have the server send something, and read it, as libcurl does."""
        self.bring(data)
        self.ours.recv(len(data))
