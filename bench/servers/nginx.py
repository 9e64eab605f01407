"""nginx with TLS: one worker, a private configuration, HTTP/1.1 at one port and HTTP/2 at another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.programs import path_of
from bench.servers.answers import OPENING, SIZES, tail
from bench.servers.certificate import write_certificate
from bench.servers.core import kept_on
from harness.processes import free_port

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    http2_max_concurrent_streams 1024;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
{temporary}
    server {{ listen 127.0.0.1:{h1} ssl; {answers} }}
    server {{ listen 127.0.0.1:{h2} ssl http2; {answers} }}
}}
"""
# nginx reads at most 4,096 bytes as one word.
LONGEST = 4000
# Without these options nginx makes the folders where Debian's packagers have put them.
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Addresses:
    """Where a TLS server answers, and the file of the authority that vouches for it."""

    h1: str
    h2: str
    authority: Path


@contextmanager
def nginx_server(folder: Path, *, core: int) -> Iterator[Addresses]:
    """Run nginx in a folder, on a core, and give its addresses; raise NotInstalled where there is none."""
    program = path_of("nginx")
    authority = write_certificate(folder)
    h1, h2 = free_port(), free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_configuration(folder, h1, h2))
    command = (program, "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(configuration))
    with kept_on(core, command, h1, log=folder / "output.log"):
        yield Addresses(f"https://127.0.0.1:{h1}", f"https://127.0.0.1:{h2}", authority)


def _configuration(folder: Path, h1: int, h2: int) -> str:
    temporary = "\n".join(f"    {what}_temp_path {folder}/{what};" for what in TEMPORARY)
    answers = "\n".join(_location(name, tail(size)) for name, size in SIZES.items())
    return CONFIGURATION.format(folder=folder, h1=h1, h2=h2, temporary=temporary, answers=answers)


def _location(name: str, text: str) -> str:
    pieces = [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)]
    variables = " ".join(f"set $piece{number} '{piece}';" for number, piece in enumerate(pieces))
    whole = "".join(f"$piece{number}" for number in range(len(pieces)))
    return f"location ~ ^/{name}/(?<id>.+)$ {{ {variables} return 200 '{OPENING}$id{whole}'; }}"
