"""What the preflight finds out of how the API is logged in to, in extract as Airflow executes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_fanout.preflight.errors import NotReachable
from harness.service import DemoService
from tests.http.servers import Server, answer
from tests.preflight.conftest import report

pytestmark = pytest.mark.usefixtures("place")

SECRET = "the s3cret of the client"
# What the API's list has besides the number.
SHOPS = [{"tel": "+12025550100", "shop": "ruhr"}, {"tel": "+12025550101", "shop": "saar"}]


def shops() -> list[dict[str, str]]:
    """Return parameters that name their connections."""
    return SHOPS


def connect(monkeypatch: pytest.MonkeyPatch, name: str, host: str, token_url: str | None = None) -> None:
    """Make a connection; with a token URL, one of OAuth 2.0."""
    extra = {} if token_url is None else {"extra": json.dumps({"auth": "oauth2", "token_url": token_url})}
    login = {} if token_url is None else {"login": "client", "password": SECRET}
    text = json.dumps({"conn_type": "http", "host": host, **login, **extra})
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)


def refused(**parts: Any) -> str:
    """Return the message with which a report is refused for good."""
    with pytest.raises(AirflowFailException) as caught:
        report(extract={"source": shops, "names": ("tel", "shop")}, **parts).extract()
    words = str(caught.value)
    assert SECRET not in words
    return words


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (
            answer(b'{"error": "invalid_client", "error_description": "unknown"}', "401 Unauthorized"),
            "fetch: There is no access token for the connection 'guarded': the token endpoint {url}/token refused with",
        ),
        (answer(b"<html>Sign in</html>"), "{url}/token answered an HTML page instead of a token"),
        (answer(b'{"access_token": "t"}'), '{url}/token gave a token without "expires_in"'),
    ],
    ids=["refuses", "html", "no expiry"],
)
def test_a_token_endpoint_that_refuses_is_found_before_the_first_request(
    monkeypatch: pytest.MonkeyPatch, reply: bytes, says: str
) -> None:
    """The report isn't ready, and why; the API itself is asked nothing."""
    with Server(lambda _seen, _connection: reply) as server:
        connect(monkeypatch, "guarded", server.origin, "/token")
        words = refused(fetch={"http_conn_id": "guarded"})
        assert {seen.path for seen in server.seen} == {"/token"}
    assert "The report isn't ready: 1 problem found before the first fetch request." in words
    assert says.format(url=server.origin) in words


def test_a_token_endpoint_that_is_down_may_come_back(monkeypatch: pytest.MonkeyPatch, api: DemoService) -> None:
    """Nobody listens there: the next try checks again."""
    monkeypatch.setattr("airflow_fanout.operators.preflight.TOKEN_S", 0.1)
    connect(monkeypatch, "guarded", api.url, "http://127.0.0.1:1/token")
    with pytest.raises(NotReachable, match=r"fetch: .*token endpoint"):
        report(extract={"source": shops, "names": ("tel", "shop")}, fetch={"http_conn_id": "guarded"}).extract()


def test_the_connection_that_the_first_parameter_names_is_checked(
    monkeypatch: pytest.MonkeyPatch, place: Callable[..., None], api: DemoService
) -> None:
    """As a fixed one is: it isn't there, is none of an API, or its token endpoint refuses."""
    named = {"fetch": {"http_conn_id": "shop_{shop}"}}
    assert "fetch: parameter 0: there is no connection 'shop_…'" in refused(**named)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_RUHR", json.dumps({"conn_type": "mongo", "host": "x"}))
    assert "connection 'shop_ruhr': The connection 'shop_ruhr' has the type \"mongo\"" in refused(**named)
    with Server(lambda _seen, _connection: answer(b"{}", "401 Unauthorized")) as server:
        connect(monkeypatch, "shop_ruhr", server.origin, "/token")
        assert "There is no access token for the connection 'shop_ruhr'" in refused(**named)
    connect(monkeypatch, "shop_ruhr", api.url)
    found = report(extract={"source": shops, "names": ("tel", "shop")}, **named).extract()
    assert found["parameters"] == 2
