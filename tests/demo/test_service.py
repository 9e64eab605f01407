"""The service over real sockets, as a child process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from demo.service import DemoService
from demo.service.child import ServiceNotStarted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY = "2026-11-22"
TEL = "+12015550100"
TIMEOUT_S = 10


@pytest.fixture(scope="module")
def running() -> Iterator[DemoService]:
    """Give one service to all tests."""
    with DemoService.start(subscribers=120) as service:
        yield service


@pytest.fixture
def service(running: DemoService) -> DemoService:
    """Give a service without faults, whose counts begin at nothing."""
    running.restore_faults()
    running.reset_stats()
    return running


def get(service: DemoService, path: str, **options: Any) -> requests.Response:
    """Send one request on a connection of its own."""
    return requests.get(service.url + path, timeout=TIMEOUT_S, **options)


def calls(service: DemoService, tel: str = TEL, **options: Any) -> requests.Response:
    """Ask for a subscriber's calls."""
    return get(service, f"/calls/{tel}", params={"day": DAY}, **options)


def test_all_pages_are_the_list(service: DemoService) -> None:
    """Pages by next link, by Link header and by cursor each hold what the whole list holds."""
    everyone = get(service, "/subscribers.json").json()
    assert len({one["tel"] for one in everyone}) == 120
    by_next, path = [], "/subscribers?per_page=50"
    while path:
        page = get(service, path).json()
        by_next += page["subscribers"]
        path = page["next"]
    by_cursor = []
    cursor: dict[str, str] = {}
    while True:
        page = get(service, "/subscribers", params={"per_page": 50, **cursor}).json()
        by_cursor += page["subscribers"]
        if not page["cursor"]:
            break
        cursor = {"cursor": page["cursor"]}
    by_link, answer = [], get(service, "/subscribers?per_page=50")
    while True:
        by_link += answer.json()["subscribers"]
        if "next" not in answer.links:
            break
        answer = requests.get(answer.links["next"]["url"], timeout=TIMEOUT_S)
    assert by_next == by_cursor == by_link == everyone
    assert (page["page"], page["pages"], page["total"], page["next"]) == (3, 3, 120, None)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/subscribers?page=0", 400, "page is '0': it must be a whole number from 1"),
        ("/subscribers?per_page=1001", 400, "per_page is '1001': it must be a whole number from 1 to 1000."),
        ("/subscribers?cursor=abc", 400, "The cursor is not one"),
        (f"/calls/{TEL}", 400, "The query needs day=YYYY-MM-DD."),
        (f"/calls/{TEL}?day=20261122", 400, "day is '20261122': it must be a day"),
        (f"/calls/{TEL}?day=2026-02-30", 400, "day is '2026-02-30'"),
        (f"/calls/+12015550199x?day={DAY}", 404, "There is no subscriber with this number."),
        ("/call-log?start=2026-11-22", 400, "The query needs end=YYYY-MM-DD."),
        ("/call-log?start=2026-11-22&end=2026-11-21", 400, "before start"),
        ("/call-log?start=2026-01-01&end=2026-11-21", 400, "at most 31 days"),
        ("/call", 404, "There is nothing to GET at /call."),
    ],
)
def test_refusals_say_why(service: DemoService, path: str, status: int, said: str) -> None:
    """What can't be answered gets a status and a sentence."""
    answer = get(service, path)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_calls_are_the_same_however_asked(service: DemoService) -> None:
    """A number can be written with + or %2B, and its calls are those of the call log."""
    plain, quoted = calls(service).json(), get(service, f"/calls/%2B{TEL[1:]}?day={DAY}").json()
    assert plain == quoted
    assert (plain["tel"], plain["day"]) == (TEL, DAY)
    log = get(service, f"/call-log?start={DAY}&end=2026-11-23")
    mine = [row for row in log.json()["rows"] if row.pop("tel") == TEL]
    assert mine == plain["calls"]


def test_a_months_log_is_small(service: DemoService) -> None:
    """The longest log that can be asked for stays under a megabyte."""
    log = get(service, "/call-log?start=2026-10-01&end=2026-11-01")
    assert len(log.json()["rows"]) > 1000
    assert len(log.content) < 1_000_000


def test_named_faults(service: DemoService) -> None:
    """Each fault that is set for a number comes each time, and for this number only."""
    tels = [f"+120155501{index:02d}" for index in range(1, 7)]
    fail, invalid, null, missing, large, hang = tels
    service.set_faults(
        fail=[fail],
        invalid={invalid},
        null=(null,),
        missing=[missing],
        large=[large],
        hang=[hang],
        large_mb=2,
    )
    assert [calls(service, fail).status_code for _ in range(2)] == [500, 500]
    with pytest.raises(requests.exceptions.JSONDecodeError):
        calls(service, invalid).json()
    assert calls(service, null).json() == {"tel": null, "day": DAY, "calls": None}
    assert calls(service, missing).json() == {"tel": missing, "day": DAY}
    assert len(calls(service, large).content) > 2_000_000
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(f"{service.url}/calls/{hang}?day={DAY}", timeout=0.3)
    assert calls(service).status_code == 200
    stats = service.stats()
    assert stats["by_fault"] == dict.fromkeys(("invalid", "null", "missing", "large", "hang"), 1) | {
        "error": 2
    }
    assert stats["by_status"] == {"200": 5, "500": 2, "unanswered": 1}
    assert stats["in_flight"] == 0, "a client that went away is not waited for"


def test_faults_by_chance(service: DemoService) -> None:
    """With every kind at its rate of one, throttling names the wait, and a reset is a reset."""
    service.set_faults(throttle_rate=1.0, retry_after_s=3)
    throttled = calls(service)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "3")
    service.set_faults(throttle_rate=0, reset_rate=1.0)
    with pytest.raises(requests.exceptions.ConnectionError, match="reset by peer"):
        calls(service)
    service.set_faults(reset_rate=0, error_rate=0.5)
    assert {calls(service).status_code for _ in range(20)} == {200, 500}


def test_faults_can_be_changed_and_restored(service: DemoService) -> None:
    """Changing a setting leaves the others, a wrong one changes nothing, restoring brings all back."""
    first = service.faults()
    service.set_faults(latency_ms=5)
    assert service.set_faults(error_rate=0.25) == {**first, "latency_ms": 5, "error_rate": 0.25}
    for wrong in ('{"error_rate": 2}', "[]", "{"):
        answer = requests.put(service.url + "/faults", data=wrong, timeout=TIMEOUT_S)
        assert answer.status_code == 400
        assert answer.json()["error"]
    assert service.faults() == {**first, "latency_ms": 5, "error_rate": 0.25}
    assert service.restore_faults() == first


def test_counts_show_what_arrived(service: DemoService) -> None:
    """The counts tell requests, connections, the peak in flight, and who was asked for how often."""
    service.set_faults(latency_ms=200)
    tels = [f"+120155501{index:02d}" for index in range(5)]
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda tel: calls(service, tel), tels))
    with requests.Session() as session:
        for _ in range(2):
            session.get(f"{service.url}/calls/{TEL}?day={DAY}", timeout=TIMEOUT_S)
        get(service, "/healthz")
        stats = service.stats()
    assert (stats["requests"], stats["connections"], stats["peak_in_flight"]) == (7, 6, 5)
    assert stats["by_path"] == {"/calls": 7}
    assert stats["by_status"] == {"200": 7}
    assert stats["asked"] == {"distinct": 5, "most": 3, "twice_or_more": [TEL]}
    assert service.asked() == {**dict.fromkeys(tels, 1), TEL: 3}
    service.reset_stats()
    assert (service.stats()["requests"], service.stats()["connections"], service.asked()) == (0, 0, {})


def test_observers_connection_counts_once_it_carries_a_request(service: DemoService) -> None:
    """A connection that asked for the counts only is left out; when it also asks for calls, it is counted."""
    with requests.Session() as session:
        for path, expected in (("/stats", 0), (f"/calls/{TEL}?day={DAY}", 1), ("/stats", 1)):
            session.get(service.url + path, timeout=TIMEOUT_S)
            assert service.stats()["connections"] == expected


def test_idle_connection_is_counted(service: DemoService) -> None:
    """A connection is counted when it is made, whether or not a request comes."""
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))):
        deadline = time.monotonic() + TIMEOUT_S
        while service.stats()["connections"] != 1:
            assert time.monotonic() < deadline


def test_token_guards_all_but_health() -> None:
    """With a token, nothing but /healthz answers without it; bearer and basic both open."""
    with DemoService.start(subscribers=3, token="secret") as guarded:
        for path in ("/subscribers", "/subscribers.json", f"/calls/{TEL}?day={DAY}", "/call-log", "/stats"):
            assert get(guarded, path).status_code == 401
        assert requests.put(guarded.url + "/faults", json={}, timeout=TIMEOUT_S).status_code == 401
        assert get(guarded, "/healthz").status_code == 200
        assert calls(guarded, auth=("anybody", "secret")).status_code == 200
        assert calls(guarded, headers={"Authorization": "Bearer secret"}).status_code == 200
        assert guarded.stats()["by_status"] == {"401": 4, "200": 2}


def test_tls(tmp_path: Path) -> None:
    """With a certificate the service speaks https, and its owner trusts exactly that one."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    asked = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    command = ["openssl", *asked.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    with DemoService.start(subscribers=3, certfile=str(certificate), keyfile=str(key)) as service:
        assert service.url.startswith("https://")
        assert calls(service, verify=str(certificate)).json()["tel"] == TEL
        assert service.stats()["connections"] == 1


def test_wrong_setting_is_told(tmp_path: Path) -> None:
    """A service that can't start says why, also when its log holds an older service's address."""
    log = tmp_path / "log"
    with DemoService.start(subscribers=3, log=log):
        pass
    with pytest.raises(ServiceNotStarted, match=r"rates add up to 1\.5"):
        DemoService.start(error_rate=1.5, log=log)
    with pytest.raises(ServiceNotStarted, match="ask for at most"):
        DemoService.start(subscribers=1_000_000)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_service_though_a_request_hangs(number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the service with code 0 within seconds, whoever still waits."""
    with DemoService.start(subscribers=3, hang=[TEL]) as service, ThreadPoolExecutor() as threads:
        waiting = threads.submit(calls, service)
        while service.stats()["in_flight"] != 1:
            time.sleep(0.01)
        os.kill(service.pid, number)
        with pytest.raises(requests.exceptions.ConnectionError):
            waiting.result(TIMEOUT_S)
        assert service.wait(TIMEOUT_S) == 0
