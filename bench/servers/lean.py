"""The lean server: compiled where it is needed, and run on a core of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.programs import path_of
from bench.servers.answers import SIZES, tail
from bench.servers.core import kept_on
from harness.processes import free_port

SOURCE = Path(__file__).with_name("lean.c")


def compiled(folder: Path) -> Path:
    """Compile the server into a folder, and return the program; raise NotInstalled without a compiler."""
    program = folder / "lean"
    subprocess.run([path_of("cc"), "-O2", "-o", str(program), str(SOURCE)], check=True)
    return program


@contextmanager
def lean_server(program: Path, *, core: int, latency_ms: float = 0) -> Iterator[str]:
    """Run the server on a core, and give its address."""
    port = free_port()
    answers = [f"{name}={tail(size)}" for name, size in SIZES.items()]
    command = (str(program), str(port), str(int(latency_ms * 1000)), *answers)
    with kept_on(core, command, port, log=program.with_suffix(".log")):
        yield f"http://127.0.0.1:{port}"
