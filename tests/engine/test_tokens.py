from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.errors import NoToken, TokenEndpointDown
from airflow_fanout.api.request import Request
from airflow_fanout.launch.errors import NotStarted
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import FetchSettings, Retry, Throttle, Timeouts
from harness.service import DemoService
from tests.engine.tokens import CALLS, SECRET, fetched, guarded, login, oauth2, trust_no_longer
from tests.http.servers import Connection, Seen, Server, answer, as_json

if TYPE_CHECKING:
    from airflow_fanout.model.outcome import Record

WAYS = ["curl", "requests", "function", "function by requests"]
# Whatever else goes wrong shows in the counts.
ONCE = Retry(max_attempts=1, last_pass=False)


def calls(session: Any, tel: str) -> Any:
    """Ask for the calls of a subscriber."""
    answer = session.get(f"/calls/{tel}", params={"day": "2026-11-22"})
    answer.raise_for_status()
    return answer.json()["calls"]


def wanted(way: str, request: Request = CALLS, **more: Any) -> dict[str, Any]:
    """Return what is fetched, and how, on one of the ways."""
    transport = "requests" if "requests" in way else "curl"
    return {
        "request": calls if "function" in way else request,
        "how": FetchSettings(**{"concurrency": 8, "transport": transport, "retry": ONCE, **more}),
    }


@pytest.fixture
def service() -> Iterator[DemoService]:
    """A service that tokens of two seconds open."""
    with guarded(subscribers=600, token_lifetime_s=2.0, latency_ms=20) as running:
        yield running


def statuses(service: DemoService) -> dict[str, int]:
    """Return how many requests for calls had each status; those for tokens left out."""
    stats = service.stats()
    counts = dict(stats["by_status"])
    counts["200"] -= stats["tokens"]["issued"]
    return counts


def kinds(records: list[Record]) -> dict[str, int]:
    """Return how many parameters have each kind of outcome."""
    found: dict[str, int] = {}
    for record in records:
        found[record.kind.value] = found.get(record.kind.value, 0) + 1
    return found


@pytest.mark.parametrize("way", WAYS)
def test_no_parameter_is_lost_to_a_token_that_ends(tmp_path: Path, service: DemoService, way: str) -> None:
    """A fetch that lasts several tokens has all results, each after one attempt, and hardly a request is refused."""
    progress, records = fetched(tmp_path, **wanted(way), logged_in=login(oauth2(service.url)), parameters=600)
    assert kinds(records) == {"ok": 600}
    assert {record.attempts for record in records} == {1}
    counts = statuses(service)
    assert counts["200"] == 600
    refused = counts.get("401", 0)
    assert refused <= 6
    # What a session sends again by itself is one request of its call.
    assert progress.requests == 600 + (refused if way == "curl" else 0)


@pytest.mark.long
def test_twenty_thousand_requests_with_tokens_of_two_seconds(tmp_path: Path) -> None:
    """None is lost, and at most one in a hundred is refused; the token endpoint is down for 20 s in the middle."""
    with guarded(subscribers=20_000, token_lifetime_s=2.0, latency_ms=5) as service:
        logged_in = login(oauth2(service.url), limit_s=300.0)
        timers = [
            threading.Timer(delay_s, service.set_faults, kwargs={"token_down": is_down})
            for delay_s, is_down in ((5.0, True), (25.0, False))
        ]
        for timer in timers:
            timer.start()
        how = FetchSettings(concurrency=32, processes=2)
        _, records = fetched(tmp_path, CALLS, how, logged_in, parameters=20_000)
        for timer in timers:
            timer.join()
        counts = statuses(service)
        print(counts, service.stats()["tokens"])
    assert kinds(records) == {"ok": 20_000}
    assert {record.attempts for record in records} == {1}
    assert counts["200"] == 20_000
    assert counts.get("401", 0) <= 200


@pytest.mark.parametrize("processes", [1, 2])
def test_engines_share_one_token(tmp_path: Path, processes: int) -> None:
    """However many engines and requests there are, a token of an hour is got once."""
    with guarded(subscribers=300, latency_ms=10) as service:
        what = wanted("curl", processes=processes)
        _, records = fetched(tmp_path, **what, logged_in=login(oauth2(service.url)), parameters=300)
        assert service.stats()["tokens"] == {"issued": 1, "refused": 0}
    assert kinds(records) == {"ok": 300}


class Revoking:
    """An API whose tokens are all revoked at once, in the middle of a fetch, long before their end."""

    def __init__(self, revoke_at: int) -> None:
        self.lock = threading.Lock()
        self.good = ""
        self.issued = self.refused = self.answered = 0
        self._revoke_at = revoke_at

    def handle(self, seen: Seen, connection: Connection) -> bytes:
        """Answer one request."""
        with self.lock:
            if seen.path == "/token":
                self.issued += 1
                self.good = f"token-{self.issued}"
                return as_json({"access_token": self.good, "token_type": "Bearer", "expires_in": 3600})
            is_good = seen.headers.get("authorization") == f"Bearer {self.good}"
            if is_good:
                self.answered += 1
            else:
                self.refused += 1
            if self.answered == self._revoke_at and self.issued == 1:
                self.good = "revoked"
        connection.pause(0.05)
        return as_json({"calls": []}) if is_good else as_json({"error": "no"}, "401 Unauthorized")


@pytest.mark.parametrize("way", WAYS)
def test_many_refusals_are_one_renewal(tmp_path: Path, way: str) -> None:
    """A token is revoked while many requests are under way: one other is got, and each refused request is repeated.

    None of it counts as an attempt, and neither the breaker nor the throttle takes it for a failure.
    """
    api = Revoking(revoke_at=100)
    with Server(api.handle) as server:
        connection = oauth2(server.origin, "/token")
        logged_in = login(connection)
        # As if it had been got a while ago.
        _ = logged_in.current
        trust_no_longer(logged_in)
        _, records = fetched(tmp_path, **wanted(way), logged_in=logged_in, parameters=300)
    assert kinds(records) == {"ok": 300}
    assert {record.attempts for record in records} == {1}
    assert (api.issued, api.answered) == (2, 300)
    assert api.refused >= 1


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_with_a_fresh_token_is_the_parameters_outcome(tmp_path: Path, way: str) -> None:
    """Some parameters are always refused: that costs one request each and two renewals at most, and it doesn't loop."""
    issued = []

    def handle(seen: Seen, _: Connection) -> bytes:
        if seen.path == "/token":
            issued.append(seen)
            return as_json({"access_token": f"t-{len(issued)}", "token_type": "Bearer", "expires_in": 3600})
        return as_json({}, "401 No") if seen.path.endswith("9") else as_json({"calls": []})

    with Server(handle) as server:
        logged_in = login(oauth2(server.origin, "/token"))
        _, records = fetched(tmp_path, **wanted(way), logged_in=logged_in, parameters=200)
        asked = len(server.seen) - len(issued)
    assert kinds(records) == {"ok": 180, "http_error": 20}
    assert {record.status for record in records if record.kind is Kind.HTTP_ERROR} == {401}
    assert len(issued) <= 2
    # Those under way while the token was renewed are sent twice.
    assert 200 <= asked <= 220


@pytest.mark.parametrize("way", ["curl", "function"])
def test_a_token_endpoint_that_is_away_costs_time_only(tmp_path: Path, service: DemoService, way: str) -> None:
    """The token ends meanwhile: nothing is sent until there is another one, and nothing is lost."""
    notes: list[str] = []
    logged_in = login(oauth2(service.url), note=notes.append)
    timers = [threading.Timer(0.5, service.set_faults, kwargs={"token_down": True})]
    timers.append(threading.Timer(5.0, service.set_faults, kwargs={"token_down": False}))
    _ = logged_in.current
    for timer in timers:
        timer.start()
    what = wanted(way, timeouts=Timeouts(total_s=3.0))
    _, records = fetched(tmp_path, **what, logged_in=logged_in, parameters=600)
    for timer in timers:
        timer.join()
    assert kinds(records) == {"ok": 600}
    assert {record.attempts for record in records} == {1}
    assert statuses(service)["200"] == 600
    assert "gave no answer" in notes[0]


def test_a_token_endpoint_that_refuses_in_the_middle_ends_the_fetch(tmp_path: Path, service: DemoService) -> None:
    """At once and with its reason; what was fetched is kept."""
    logged_in = login(oauth2(service.url))
    _ = logged_in.current
    service.set_faults(token_refused=True)
    with pytest.raises(NoToken, match="refused with invalid_grant"):
        fetched(tmp_path, **wanted("curl"), logged_in=logged_in, parameters=600)
    # Those that were under way when the token ended.
    assert statuses(service).get("401", 0) <= 8
    assert SECRET not in str(service.stats())


def test_a_token_endpoint_that_stays_away_ends_the_fetch(tmp_path: Path, service: DemoService) -> None:
    """After the time that an outage may take; the next try may find it back."""
    logged_in = login(oauth2(service.url), limit_s=1.0)
    _ = logged_in.current
    service.set_faults(token_down=True)
    with pytest.raises(TokenEndpointDown, match="gave no answer") as caught:
        fetched(tmp_path, **wanted("curl"), logged_in=logged_in, parameters=600)
    assert caught.value.retry


@pytest.mark.parametrize("way", ["function", "function by requests"])
def test_requests_that_wait_for_their_turn_have_the_newest_token(tmp_path: Path, way: str) -> None:
    """A call may wait for the rate for longer than its token lasts: the token is put in when the request is sent."""
    good = ["none"]
    refused: list[Seen] = []

    def handle(seen: Seen, _: Connection) -> bytes:
        if seen.path == "/token":
            good[0] = f"token-{time.monotonic()}"
            return as_json({"access_token": good[0], "token_type": "Bearer", "expires_in": 1})
        if seen.headers.get("authorization") != f"Bearer {good[0]}":
            refused.append(seen)
            return answer(b"", "401 Unauthorized")
        return as_json({"calls": []})

    with Server(handle) as server:
        connection = oauth2(server.origin, "/token")
        what = wanted(way, concurrency=30, throttle=Throttle(adaptive=False, rate_per_s=10.0))
        _, records = fetched(tmp_path, **what, logged_in=login(connection), parameters=30)
    assert kinds(records) == {"ok": 30}
    # One that is on its way while the token is replaced.
    assert len(refused) <= 3


@pytest.mark.parametrize(
    ("auth", "way"),
    [
        *product(["basic", "bearer", "header", "query"], ["curl", "function"]),
        *product(["bearer"], ["requests", WAYS[3]]),
    ],
)
def test_a_changed_password_is_used_by_requests_that_were_refused(tmp_path: Path, auth: str, way: str) -> None:
    """Somebody changes it in the middle of a fetch, on both sides: the connection is read once, and nothing is lost."""
    password, seen_good = ["old"], []

    def handle(seen: Seen, connection: Connection) -> bytes:
        is_good = password[0] in (given(seen, auth))
        seen_good.append(is_good)
        if sum(seen_good) == 60:
            password[0] = "new"
        connection.pause(0.02)
        return as_json({"calls": []}) if is_good else answer(b"", "401 Unauthorized")

    reads = []
    with Server(handle) as server:

        def read() -> Endpoint:
            reads.append(password[0])
            return keyed(server.origin, auth, password[0])

        logged_in = login(read)
        trust_no_longer(logged_in)
        _, records = fetched(tmp_path, **wanted(way), logged_in=logged_in, parameters=200)
    assert kinds(records) == {"ok": 200}
    assert reads == ["old", "new"]
    assert sum(seen_good) == 200


def test_a_wrong_password_ends_the_fetch_at_its_first_requests(tmp_path: Path) -> None:
    """It was read a moment ago, so the refusals count as before."""
    with Server(lambda _seen, _connection: answer(b"", "401 Unauthorized")) as server:
        connection = Endpoint(base_url=server.origin, login="me", password="wrong")
        with pytest.raises(NotStarted, match="refused the credentials"):
            fetched(tmp_path, **wanted("curl"), logged_in=login(connection), parameters=200)
        # One more where five seconds have passed until the first one: then the connection is read again.
        assert len(server.seen) in (3, 4)


def keyed(base_url: str, auth: str, password: str) -> Endpoint:
    """Return a connection with such a password."""
    match auth:
        case "header":
            return Endpoint(base_url=base_url, auth="api_key", headers={"X-Api-Key": password})
        case "query":
            return Endpoint(base_url=base_url, auth="api_key", query={"api key": password})
        case "bearer":
            return Endpoint(base_url=base_url, auth="bearer", password=password)
    return Endpoint(base_url=base_url, login="me", password=password)


def given(seen: Seen, auth: str) -> str:
    """Return the password that a request has."""
    match auth:
        case "header":
            return seen.headers.get("x-api-key", "")
        case "query":
            return seen.target.rpartition("api+key=")[2]
        case "bearer":
            return seen.headers.get("authorization", "").removeprefix("Bearer ")
    return base64.b64decode(seen.headers.get("authorization", "").removeprefix("Basic ")).decode()
