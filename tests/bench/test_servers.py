from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import requests

from bench.programs import NotInstalled, found
from bench.servers.answers import ID_SIZE, OPENING, SIZES, tail
from bench.servers.core import ServerNotStarted, kept_on
from bench.servers.lean import compiled, lean_server
from bench.servers.nginx import nginx_server
from harness.processes import free_port

CORE = min(os.sched_getaffinity(0))
needs_cc = pytest.mark.skipif(found("cc") is None, reason=str(NotInstalled(("cc",))))
needs_nginx = pytest.mark.skipif(found("nginx") is None, reason=str(NotInstalled(("nginx",))))


def body_of(url: str, authority: Path | None = None) -> bytes:
    """Return an answer's body; raise `requests.HTTPError` if it isn't good."""
    with requests.Session() as session:
        # Else the environment's authorities would count, and not this one.
        session.trust_env = False
        answer = session.get(url, timeout=10, verify=str(authority) if authority else True)
    answer.raise_for_status()
    return answer.content


@pytest.mark.parametrize("size", SIZES.values())
def test_an_answer_is_json_of_its_size(size: int) -> None:
    """With an id of five digits an answer is at most as large as it says, and by less than one call smaller."""
    answer = f"{OPENING}{'7' * ID_SIZE}{tail(size)}"
    assert size - 50 < len(answer) <= size
    assert json.loads(answer)["id"] == "77777"
    assert {call["to"][:10] for call in json.loads(answer)["calls"]} == {"+120255501"}


@needs_cc
def test_the_lean_server_echoes_the_id_in_both_sizes(tmp_path: Path) -> None:
    """Two answers over two paths; what it doesn't know is not found."""
    with lean_server(compiled(tmp_path), core=CORE) as base:
        bodies = {name: body_of(f"{base}/{name}/12345") for name in SIZES}
        with pytest.raises(requests.HTTPError, match="404"):
            body_of(f"{base}/501/12345")
    assert {name: json.loads(body)["id"] for name, body in bodies.items()} == dict.fromkeys(SIZES, "12345")
    assert {name: SIZES[name] - len(body) < 50 for name, body in bodies.items()} == dict.fromkeys(SIZES, True)


@needs_cc
def test_the_lean_server_answers_after_its_latency(tmp_path: Path) -> None:
    """The latency passes before an answer, and the next one over the same server has it again."""
    with lean_server(compiled(tmp_path), core=CORE, latency_ms=80) as base:
        for _ in range(2):
            begun = time.monotonic()
            body_of(f"{base}/500/1")
            assert time.monotonic() - begun >= 0.08


@needs_nginx
def test_nginx_answers_the_same_over_tls(tmp_path: Path) -> None:
    """Both ports give the answers of the lean server, by a certificate that its authority's file vouches for."""
    with nginx_server(tmp_path, core=CORE) as addresses:
        bodies = [
            body_of(f"{base}/{name}/12345", addresses.authority)
            for base in (addresses.h1, addresses.h2)
            for name in SIZES
        ]
    assert bodies == [f"{OPENING}12345{tail(size)}".encode() for size in SIZES.values()] * 2


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    """Its log is in the error."""
    command = ("sh", "-c", "echo the port is taken; exit 3")
    with (
        pytest.raises(ServerNotStarted, match=r"sh doesn't serve\. Its log: the port is taken"),
        kept_on(CORE, command, free_port(), log=tmp_path / "log"),
    ):
        pass
