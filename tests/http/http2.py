"""A server that speaks HTTP/2 over TLS, and nothing else."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING, Self, TypeAlias

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# Gives the status and the body for a path.
Answering: TypeAlias = "Callable[[str], tuple[int, bytes]]"


class Http2Server:
    """Answers each request by its path; remembers the paths, and counts the connections that they came by.

    :param answer: gives status and body for a path.
    :param tls: the server's certificate.
    """

    def __init__(self, answer: Answering, tls: ssl.SSLContext) -> None:
        tls.set_alpn_protocols(["h2"])
        self._answer = answer
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.origin = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0
        self.paths: list[str] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connected in self._open:
            connected.close()
        for thread in self._threads:
            thread.join()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            self._start(self._converse, connected)

    def _converse(self, plain: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(plain, server_side=True) as connected:
                self._open.append(connected)
                self.connections += 1
                self._serve(connected, H2Connection(H2Configuration(client_side=False, header_encoding="utf-8")))
        except OSError:
            # The client, or the end of the test, has closed it.
            return

    def _serve(self, connected: ssl.SSLSocket, connection: H2Connection) -> None:
        connection.initiate_connection()
        connected.sendall(connection.data_to_send())
        while data := connected.recv(1 << 16):
            for event in connection.receive_data(data):
                if isinstance(event, RequestReceived):
                    self._respond(connection, event)
            connected.sendall(connection.data_to_send())

    def _respond(self, connection: H2Connection, event: RequestReceived) -> None:
        path = dict(event.headers)[":path"]
        self.paths.append(path)
        status, body = self._answer(path)
        headers = [(":status", str(status)), ("content-type", "application/json")]
        connection.send_headers(event.stream_id, headers)
        connection.send_data(event.stream_id, body, end_stream=True)
