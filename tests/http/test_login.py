from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import pytest
from msgspec.structs import replace

from airflow_fanout.api import login as logins
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.errors import NoToken, TokenEndpointDown
from airflow_fanout.api.login import ApiLogin, Credentials
from airflow_fanout.api.oauth2 import OAuth2, Refusal
from airflow_fanout.api.token_endpoint import TokenEndpoint
from airflow_fanout.model.settings import Timeouts
from harness.processes import free_port
from tests.engine.tokens import Kept, login
from tests.http.servers import Connection, Seen, Server, answer, as_json

SECRET = "a-client-secret"
REFUSED = as_json({"error": "invalid_client", "error_description": f"{SECRET} of +12025550123 is wrong"}, "401 No")


def token(number: int, **fields: Any) -> bytes:
    """Return an answer with a token."""
    body = {"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 60, **fields}
    return as_json({name: value for name, value in body.items() if value is not None})


class TokenServer:
    """A token endpoint whose answers are given beforehand; the last one is given again and again."""

    def __init__(self, *answers: bytes | Callable[[int], bytes]) -> None:
        self._answers = answers
        self._numbers = count(1)
        self.server = Server(self._answer)

    def __enter__(self) -> TokenServer:
        self.server.__enter__()
        return self

    def __exit__(self, *ended: Any) -> None:
        self.server.__exit__(*ended)

    def _answer(self, _seen: Seen, connection: Connection) -> bytes:
        number = next(self._numbers)
        planned = self._answers[min(number, len(self._answers)) - 1]
        if planned == b"":
            connection.hang_up(reset=True)
        return planned if isinstance(planned, bytes) else planned(number)

    def connection(self, **fields: Any) -> Endpoint:
        """Return the connection of an API with this token endpoint."""
        oauth2 = {"token_url": f"{self.server.origin}/token", "client_id": "me", "client_secret": SECRET, **fields}
        return Endpoint(base_url="http://api.example", auth="oauth2", oauth2=OAuth2(**oauth2))

    @property
    def asked(self) -> int:
        """How often a token was asked for."""
        return len(self.server.seen)

    @property
    def refresh_tokens(self) -> list[str]:
        """The refresh tokens that were used."""
        return [parse_qs(seen.body.decode())["refresh_token"][0] for seen in self.server.seen]


def impatient(seconds: float) -> bool:
    """Wait for no time."""
    return False


def trusted_no_longer(logged_in: ApiLogin) -> int:
    """Return the renewal of credentials that nobody trusts any more, as if they had been got long ago."""
    logged_in._current = replace(logged_in.current, trusted_until_s=time.monotonic())
    return logged_in.current.renewal


def test_a_token_is_sent_as_bearer_and_the_clients_secret_stays_here() -> None:
    """Engines get the token, and nothing that another one could be got with."""
    with TokenServer(token(1)) as server:
        credentials = login(server.connection()).current
        sent = server.server.seen[0]
    assert (credentials.endpoint.auth, credentials.endpoint.password) == ("bearer", "token-1")
    assert SECRET not in repr(credentials) + str(credentials.endpoint.secrets)
    assert credentials.endpoint.oauth2 is None
    assert sent.headers["authorization"] == "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()


@pytest.mark.parametrize(("lifetime_s", "margin_s"), [(2, 0.5), (60, 15), (3600, 60)])
def test_a_token_is_renewed_before_it_ends(lifetime_s: float, margin_s: float) -> None:
    """A quarter of its life before, and at most a minute; its life counts from the moment of asking."""
    with TokenServer(token(1, expires_in=lifetime_s)) as server:
        before_s = time.monotonic()
        credentials = login(server.connection()).current
    assert credentials.ends_at_s - credentials.renew_at_s == pytest.approx(margin_s)
    assert before_s <= credentials.ends_at_s - lifetime_s <= time.monotonic()


def test_a_good_token_is_used_again() -> None:
    """It isn't asked for until it is time to."""
    with TokenServer(token) as server:
        logged_in = login(server.connection())
        assert [logged_in.valid().renewal for _ in range(5)] == [1] * 5
        logged_in._current = replace(logged_in.current, renew_at_s=time.monotonic())
        assert logged_in.valid().endpoint.password == "token-2"
        assert server.asked == 2


def test_many_refusals_are_one_renewal() -> None:
    """Whoever was refused with the old token gets the new one, however many there are at once."""
    with TokenServer(token) as server:
        logged_in = login(server.connection())
        old = trusted_no_longer(logged_in)
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: logged_in.after_refusal(old), range(100)))
        assert {credentials.renewal for credentials in answers} == {old + 1}
        assert server.asked == 2


def test_a_fresh_token_is_not_renewed_because_of_a_refusal() -> None:
    """Its request was refused for its own sake; so a server that refuses some requests costs no renewal each."""
    with TokenServer(token) as server:
        logged_in = login(server.connection())
        fresh = logged_in.current
        assert [logged_in.after_refusal(1) for _ in range(50)] == [fresh] * 50
        assert server.asked == 1


def test_each_useless_renewal_makes_the_next_one_later() -> None:
    """Up to a minute, whatever the token's life is."""
    with TokenServer(lambda number: token(number, expires_in=3600)) as server:
        logged_in = login(server.connection())
        trusted = []
        for _ in range(8):
            renewal = trusted_no_longer(logged_in)
            trusted.append(logged_in.after_refusal(renewal).trusted_until_s - time.monotonic())
    assert [round(seconds, -1) for seconds in trusted] == [10, 20, 40, 60, 60, 60, 60, 60]


def test_a_token_that_the_endpoint_gives_again_is_no_newer_one() -> None:
    """Some keep it until its end: a refusal then is the request's own, and the endpoint isn't asked all the time."""
    with TokenServer(token(1, expires_in=2)) as server:
        logged_in = login(server.connection())
        renewal = trusted_no_longer(logged_in)
        again = logged_in.after_refusal(renewal)
        assert again.renewal == renewal
        assert again.renew_at_s >= time.monotonic() + 0.5
        assert server.asked == 2


def test_a_refusal_ends_it_at_once_with_what_to_do() -> None:
    """Its code and the endpoint's words are shown, but no secret and nobody's number."""
    with TokenServer(REFUSED) as server, pytest.raises(NoToken) as caught:
        _ = login(server.connection()).current
    text = str(caught.value)
    assert server.asked == 1
    assert not caught.value.retry
    assert f"the token endpoint {server.server.origin}/token refused with invalid_client" in text
    assert 'It says: "… of …23 is wrong"' in text
    assert "Correct the connection's login (the client id), its password (the client secret)" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("first", "asked", "problem"),
    [
        (answer(b"<html>Log in</html>"), 3, "answered an HTML page instead of a token"),
        (token(1, expires_in=None), 1, 'gave a token without "expires_in"'),
        (answer(b"", "307 Elsewhere", "Location: http://127.0.0.1:1/"), 1, "answered with a redirect (HTTP 307)"),
        (answer(b"x" * 2_000_000), 3, "gave an answer that can't be read (BodyTooLarge)"),
    ],
    ids=["html", "no expiry", "redirect", "too large"],
)
def test_an_answer_without_a_token_is_not_waited_for(first: bytes, asked: int, problem: str) -> None:
    """What may be a proxy's page is asked for twice more."""
    with TokenServer(first) as server, pytest.raises(NoToken, match=re.escape(problem)):
        _ = login(server.connection(), wait=impatient).current
    assert server.asked == asked


@pytest.mark.parametrize(
    "away",
    [answer(b"", "503 Busy"), answer(b"", "429 Slow", "Retry-After: 7"), b""],
    ids=["503", "429", "reset"],
)
def test_an_endpoint_that_is_away_costs_time_only(away: bytes) -> None:
    """It is asked again, ever more seldom, and no sooner than it wants to be."""
    waits: list[float] = []
    notes: list[str] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    with TokenServer(*[away] * 6, token(1)) as server:
        credentials = login(server.connection(), wait=wait, note=notes.append).current
    assert credentials.endpoint.password == "token-1"
    usual = [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert waits == ([7.0] * 6 if b"429" in away else usual)
    assert [text.rpartition(". ")[2] for text in notes] == ["It is asked again.", notes[1]]
    assert notes[1].endswith("has given a token again.")


def test_an_endpoint_that_stays_away_is_given_up() -> None:
    """After the time that an outage of the API may take; another try may find it back."""
    with TokenServer(answer(b"", "503 Busy")) as server, pytest.raises(TokenEndpointDown, match="HTTP 503") as caught:
        _ = login(server.connection(), limit_s=0.2).current
    assert caught.value.retry
    assert server.asked == 1


def test_an_unknown_host_is_believed_after_three_requests() -> None:
    """As that of an API: no waiting cures it, and the message names the field."""
    connection = Endpoint(
        base_url="http://api.example",
        auth="oauth2",
        oauth2=OAuth2(token_url="http://nobody.invalid/token", client_id="me", client_secret=SECRET),
    )
    waits: list[float] = []
    with pytest.raises(NoToken, match=r'its host is unknown|host of the token endpoint is unknown.*"token_url"'):
        _ = login(connection, wait=lambda seconds: bool(waits.append(seconds))).current
    assert len(waits) == 2


def test_nobody_listening_is_an_outage() -> None:
    """A connection that is refused may be a restart."""
    oauth2 = OAuth2(token_url=f"http://127.0.0.1:{free_port()}/token", client_id="me", client_secret=SECRET)
    connection = Endpoint(base_url="http://api.example", auth="oauth2", oauth2=oauth2)
    with pytest.raises(TokenEndpointDown, match="gave no answer"):
        _ = login(connection, limit_s=0.2).current


def test_a_wait_ends_when_nobody_needs_a_token_any_more() -> None:
    """The task's end isn't held up."""
    with TokenServer(answer(b"", "503 Busy")) as server:
        logged_in = login(server.connection(), limit_s=1000)
        asking = ThreadPoolExecutor(1).submit(lambda: logged_in.current)
        while not server.asked:
            time.sleep(0.01)
        logged_in.close()
        with pytest.raises(TokenEndpointDown):
            asking.result(60)


class Changing:
    """A connection that somebody changes."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self._left = list(endpoints)
        self.reads = 0

    def __call__(self) -> Endpoint:
        self.reads += 1
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


BASIC = Endpoint(base_url="http://api.example", login="me", password="old")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BASIC, {"password": "new"}),
        (replace(BASIC, auth="digest"), {"password": "new"}),
        (Endpoint(base_url="http://api.example", auth="bearer", password="old"), {"password": "new"}),
        (
            Endpoint(base_url="http://api.example", auth="api_key", headers={"X-Key": "old"}),
            {"headers": {"X-Key": "new"}},
        ),
        (Endpoint(base_url="http://api.example", auth="api_key", query={"key": "old"}), {"query": {"key": "new"}}),
    ],
    ids=["basic", "digest", "bearer", "api key", "api key in the query"],
)
def test_a_changed_password_is_used_after_a_refusal(before: Endpoint, after: dict[str, Any]) -> None:
    """The connection is read again once; its address stays as it was."""
    changed = replace(before, base_url="http://other.example", **after)
    read, notes = Changing(before, changed), list[str]()
    logged_in = login(read, note=notes.append)
    credentials = logged_in.after_refusal(trusted_no_longer(logged_in))
    assert credentials.endpoint == replace(before, **after)
    assert (credentials.renewal, read.reads) == (2, 2)
    assert notes == ["The credentials of the connection 'call_api' have changed: the new ones are used."]


@pytest.mark.parametrize("after", [{}, {"auth": "digest", "password": "new"}, {"login": None, "password": None}])
def test_what_has_not_changed_is_refused_for_its_own_sake(after: dict[str, Any]) -> None:
    """So are credentials of another kind: requests under way are sent in the way that they were begun."""
    read = Changing(BASIC, replace(BASIC, **after))
    logged_in = login(read)
    for _ in range(10):
        assert logged_in.after_refusal(1).renewal == 1
    trusted_no_longer(logged_in)
    for _ in range(10):
        assert logged_in.after_refusal(1).renewal == 1
    assert read.reads == 2


def test_a_changed_client_secret_is_used_when_the_old_one_is_refused() -> None:
    """Whether the API refuses the token, or the token endpoint the client."""
    with TokenServer(token(1), REFUSED, token(2)) as server:
        old = server.connection()
        assert old.oauth2 is not None
        new = replace(old, oauth2=replace(old.oauth2, client_secret="another secret"))
        logged_in = login(Changing(old, old, new))
        assert logged_in.after_refusal(trusted_no_longer(logged_in)).endpoint.password == "token-2"
        last = server.server.seen[-1].headers["authorization"]
    assert base64.b64decode(last.removeprefix("Basic ")) == b"me:another+secret"


def rotating(number: int) -> bytes:
    """Return a token, and the next refresh token."""
    return token(number, refresh_token=f"refresh-{number}")


def test_a_refresh_token_that_is_replaced_is_refused_with_the_reason() -> None:
    """A task can't write the connection, so the next task would have nothing: say so, and what to do."""
    with TokenServer(rotating) as server, pytest.raises(NoToken) as caught:
        _ = login(server.connection(grant="refresh_token", refresh_token="refresh-0")).current
    assert "replaces the refresh token at each use, and a task can't write the next one" in str(caught.value)
    assert '{"refresh_token_variable": "api_refresh_token"}' in str(caught.value)
    assert "refresh-" not in str(caught.value)


@pytest.mark.parametrize("answered", [None, "refresh-0"])
def test_a_refresh_token_that_stays_is_used_again(answered: str | None) -> None:
    """Whether the endpoint repeats it or not."""
    with TokenServer(lambda number: token(number, refresh_token=answered)) as server:
        logged_in = login(server.connection(grant="refresh_token", refresh_token="refresh-0"))
        logged_in.after_refusal(trusted_no_longer(logged_in))
        assert server.refresh_tokens == ["refresh-0", "refresh-0"]


def test_a_variable_keeps_the_next_refresh_token() -> None:
    """Each is used once; the first one is the connection's."""
    kept = Kept()
    with TokenServer(rotating) as server:
        logged_in = login(
            server.connection(grant="refresh_token", refresh_token="refresh-0", refresh_token_variable="v"), kept=kept
        )
        for _ in range(3):
            logged_in.after_refusal(trusted_no_longer(logged_in))
        assert server.refresh_tokens == ["refresh-0", "refresh-1", "refresh-2", "refresh-3"]
    assert kept.written == ["refresh-1", "refresh-2", "refresh-3", "refresh-4"]


class OneTask(Kept):
    """A refresh token that several tasks share, each alone."""

    def __init__(self) -> None:
        super().__init__("refresh-0")
        self.lock = threading.Lock()

    def alone(self) -> Any:
        return self.lock


def test_tasks_that_renew_at_once_use_each_refresh_token_once() -> None:
    """A token used twice ends all that came from it, at many providers."""
    kept = OneTask()
    with TokenServer(rotating) as server:
        connection = server.connection(grant="refresh_token", refresh_token_variable="v")
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda _: login(connection, kept=kept).current, range(8)))
        assert sorted(server.refresh_tokens) == [f"refresh-{number}" for number in range(8)]
    assert len({credentials.endpoint.password for credentials in got}) == 8


def refusing(*good: str) -> Callable[[Seen], bytes]:
    """Return a token endpoint's answers that takes these refresh tokens only."""

    def handle(seen: Seen) -> bytes:
        sent = parse_qs(seen.body.decode())["refresh_token"][0]
        return token(1, refresh_token=f"{sent}+1") if sent in good else as_json({"error": "invalid_grant"}, "400 Bad")

    return handle


def test_a_new_refresh_token_in_the_connection_takes_the_place_of_a_lost_one() -> None:
    """Somebody has logged in again; the Variable's is worth nothing any more."""
    kept, handle = Kept("lost"), refusing("new")
    with Server(lambda seen, _: handle(seen)) as server:
        oauth2 = OAuth2(
            token_url=f"{server.origin}/token",
            client_id="me",
            grant="refresh_token",
            refresh_token="new",
            refresh_token_variable="v",
        )
        assert login(Endpoint(base_url="http://a", auth="oauth2", oauth2=oauth2), kept=kept).current
    assert kept.written == ["new+1"]


@pytest.mark.parametrize(("stored", "problem"), [("lost", "refused with invalid_grant"), (None, "was not asked")])
def test_no_good_refresh_token_is_a_refusal(stored: str | None, problem: str) -> None:
    """With the way out."""
    handle = refusing()
    with Server(lambda seen, _: handle(seen)) as server:
        oauth2 = OAuth2(
            token_url=f"{server.origin}/token", client_id="me", grant="refresh_token", refresh_token_variable="v"
        )
        with pytest.raises(NoToken, match=problem) as caught:
            _ = login(Endpoint(base_url="http://a", auth="oauth2", oauth2=oauth2), kept=Kept(stored)).current
    assert "ut the " in str(caught.value)
    assert "refresh token into the connection's extra" in str(caught.value)


class Forgetful(Kept):
    """A Variable that can't be written at first."""

    def write(self, token: str) -> None:
        if token == "refresh-1":
            raise RuntimeError("the API server is away")
        super().write(token)


def test_a_refresh_token_that_could_not_be_kept_is_used_next() -> None:
    """What was written down is worth nothing by then; the log says so."""
    kept, notes = Forgetful("refresh-0"), list[str]()
    with TokenServer(rotating) as server:
        connection = server.connection(grant="refresh_token", refresh_token_variable="v")
        logged_in = login(connection, kept=kept, note=notes.append)
        logged_in.after_refusal(trusted_no_longer(logged_in))
        assert server.refresh_tokens == ["refresh-0", "refresh-1"]
    assert kept.token == "refresh-2"
    assert 'could not be kept in the Variable "v": RuntimeError' in notes[0]
    assert "refresh-1" not in notes[0]


@pytest.fixture
def slow() -> Iterator[Server]:
    """A token endpoint that sends a byte now and then."""

    def drip(_seen: Seen, connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.send(b" ")
            connection.pause(0.2)

    with Server(drip) as server:
        yield server


def test_an_endpoint_that_drips_is_given_up(slow: Server) -> None:
    """There is a limit to the whole answer, not only to each silence."""
    oauth2 = OAuth2(token_url=f"{slow.origin}/token", client_id="me", client_secret=SECRET)
    endpoint = TokenEndpoint(Endpoint(base_url="http://a"), oauth2, Timeouts(total_s=0.5))
    result = endpoint.ask()
    endpoint.close()
    assert isinstance(result, Refusal)
    assert (result.problem.partition(" (")[0], result.believed_after) == ("gave no answer", float("inf"))


def test_the_state_of_a_login_shows_no_secret() -> None:
    """Only whose it is, and how often it was renewed."""
    with TokenServer(token) as server:
        logged_in = login(server.connection())
        assert repr(logged_in) == "ApiLogin('call_api', renewal 0)"
        assert isinstance(logged_in.current, Credentials)
        assert repr(logged_in) == "ApiLogin('call_api', renewal 1)"


def renewals(credentials: Sequence[Credentials]) -> set[int]:
    """Return the renewals of credentials."""
    return {one.renewal for one in credentials}


def test_credentials_of_a_connection_without_tokens_never_end() -> None:
    """Nothing is asked for, and nothing is renewed."""
    logged_in = login(BASIC)
    assert renewals([logged_in.valid(), logged_in.current]) == {1}
    assert logged_in.current.renew_at_s == logged_in.current.ends_at_s == float("inf")
    assert logged_in.current.trusted_until_s <= time.monotonic() + logins.TRUSTED_S
