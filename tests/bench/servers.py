"""A server for tests of clients: small, slow, and without a program that the machine may lack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from bench.servers.answers import OPENING, SIZES, tail


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        name, _, number = self.path[1:].partition("/")
        body = f"{OPENING}{number}{tail(SIZES[name])}".encode() if name in SIZES else b"{}"
        self.send_response(200 if name in SIZES else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100


@contextmanager
def python_server() -> Iterator[str]:
    """Give the address of a server that answers as the benchmark's own do."""
    with _Server(("127.0.0.1", 0), _Answers) as server:
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()
