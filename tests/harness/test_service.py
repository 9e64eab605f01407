"""The service over real sockets, as a child process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from harness.service import DemoService
from harness.service.child import ServiceNotStarted

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
    assert stats["by_fault"] == dict.fromkeys(("invalid", "null", "missing", "large", "hang"), 1) | {"error": 2}
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


def test_quota_refuses_what_is_beyond_it(service: DemoService) -> None:
    """Each second answers as many as the limit; the others get 429 at once, with nothing asked, until the next."""
    service.set_faults(limit_per_s=5, quota_headers=1)
    with requests.Session() as session:
        answers = [session.get(f"{service.url}/calls/{TEL}?day={DAY}", timeout=TIMEOUT_S)]
        while answers[-1].status_code == 200:
            answers.append(session.get(answers[0].url, timeout=TIMEOUT_S))
    refused = answers.pop()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert [refused.headers[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")] == ["5", "0", "1"]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers[-5:]] == ["4", "3", "2", "1", "0"]
    assert "RateLimit-Limit" not in get(service, "/subscribers").headers
    stats = service.stats()
    assert stats["asked"]["most"] == len(answers)
    assert stats["by_status"]["429"] == sum(second["refused"] for second in stats["by_second"].values()) == 1
    assert all(second["requests"] - second["refused"] <= 5 for second in stats["by_second"].values())
    time.sleep(float(refused.headers["Retry-After"]))
    assert calls(service).status_code == 200


def test_every_answer_within_a_quota_has_its_headers(service: DemoService) -> None:
    """Not only good answers tell the quota's standing; without a quota there is none to tell."""
    service.set_faults(limit_per_s=100, quota_headers=True, error_rate=1.0)
    unknown, undated = calls(service, "+12015550199x"), get(service, f"/calls/{TEL}")
    assert (unknown.status_code, undated.status_code, calls(service).status_code) == (404, 400, 500)
    assert all(answer.headers["RateLimit-Limit"] == "100" for answer in (unknown, undated, calls(service)))
    service.set_faults(limit_per_s=0)
    assert "RateLimit-Limit" not in calls(service).headers


@pytest.mark.parametrize("faults", [{"throttle_rate": 1.0}, {"limit_per_s": 1}], ids=["by chance", "by quota"])
def test_retry_after_can_be_a_date(service: DemoService, faults: dict[str, float]) -> None:
    """Told so, every 429 says when to come back as an HTTP date, which isn't too early."""
    service.set_faults(retry_after_date=1, **faults)
    asked_at = time.time()
    while (answer := calls(service)).status_code == 200:
        asked_at = time.time()
    wait_s = parsedate_to_datetime(answer.headers["Retry-After"]).timestamp() - asked_at
    assert 1 <= wait_s < TIMEOUT_S


def test_throttling_can_come_in_bursts(service: DemoService) -> None:
    """In bursts, fifty requests in a row are throttled, or none of them, whoever is asked for."""
    service.set_faults(throttle_rate=0.5, throttle_burst=1)
    with requests.Session() as session:
        path = f"{service.url}/calls/+120155501{{:02d}}?day={DAY}"
        answers = [session.get(path.format(nth % 100), timeout=TIMEOUT_S).status_code for nth in range(400)]
    bursts = [set(answers[start : start + 50]) for start in range(0, 400, 50)]
    assert {200} in bursts
    assert {429} in bursts
    assert all(len(burst) == 1 for burst in bursts)


def all_at_once(service: DemoService, count: int) -> float:
    """Ask for the calls of ``count`` subscribers together; return the seconds until the last one answered."""
    began = time.monotonic()
    with ThreadPoolExecutor(count) as threads:
        answers = list(threads.map(lambda index: calls(service, f"+120155501{index:02d}"), range(count)))
    assert {answer.status_code for answer in answers} == {200}
    return time.monotonic() - began


def test_beyond_the_knee_it_takes_twice_as_long(service: DemoService) -> None:
    """With more in flight than the knee, whoever comes waits twice the latency."""
    service.set_faults(latency_ms=300, knee=2)
    assert all_at_once(service, 3) > 0.6


def test_line_makes_latency_grow_with_load(service: DemoService) -> None:
    """With one place, requests take their latency one after another, and all that wait are in flight."""
    # Long enough for all of them to have begun before the first one ends, on a busy machine too.
    service.set_faults(latency_ms=500, queue=1)
    assert all_at_once(service, 8) > 8 * 0.5
    assert service.stats()["peak_in_flight"] == 8


def test_line_ends_when_the_faults_are_restored(service: DemoService) -> None:
    """Whoever waits in line for a place is served when there are places for all."""
    service.set_faults(latency_ms=1000, queue=1)
    with ThreadPoolExecutor(1) as threads:
        together = threads.submit(all_at_once, service, 8)
        while service.stats()["in_flight"] != 8:
            time.sleep(0.01)
        service.restore_faults()
        assert together.result() < 4


def test_client_that_went_away_leaves_the_line(service: DemoService) -> None:
    """A place isn't kept for somebody who no longer waits for it."""
    service.set_faults(latency_ms=200, queue=1)
    for _ in range(3):
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.get(f"{service.url}/calls/{TEL}?day={DAY}", timeout=0.05)
    assert calls(service).status_code == 200
    assert service.stats()["in_flight"] == 0


def test_down_service_breaks_every_connection(service: DemoService) -> None:
    """While it is down, no request for subscribers or calls is answered, and none is counted as answered."""
    service.set_faults(down=1)
    for path in ("/subscribers", "/subscribers.json", f"/calls/{TEL}?day={DAY}"):
        with pytest.raises(requests.exceptions.ConnectionError, match="reset by peer"):
            get(service, path)
    stats = service.stats()
    assert (stats["requests"], stats["refused"], stats["by_status"], stats["in_flight"]) == (3, 3, {}, 0)
    assert [second["requests"] for second in stats["by_second"].values()] == [1]
    service.set_faults(down=0)
    assert calls(service).status_code == 200
    service.reset_stats()
    assert service.stats()["refused"] == 0


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
    assert sum(second["requests"] for second in stats["by_second"].values()) == 7
    assert stats["concurrency"] == {"median": 2, "max": 5}
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
    asked = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
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
