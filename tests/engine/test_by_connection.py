from __future__ import annotations

import base64
import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
from msgspec.structs import replace

from airflow_fanout.api.batch import Batch
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.login import ApiLogin
from airflow_fanout.api.oauth2 import OAuth2
from airflow_fanout.api.request import Request
from airflow_fanout.launch.connection_errors import BadConnections, ConnectionsGivenUp
from airflow_fanout.launch.errors import LongWait
from airflow_fanout.launch.messages import Output, ProgressReport
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry, Throttle
from tests.engine.harness import frozen
from tests.engine.shops import STOCK, Shops, fetched, password, shop_of
from tests.engine.tokens import login, trust_no_longer
from tests.http.servers import Connection, Seen, Server, answer, as_json

if TYPE_CHECKING:
    from airflow_fanout.launch.messages import FetchMessage
    from airflow_fanout.model.outcome import Record

SHOPS = [f"shop-{number}" for number in range(200)]
QUICK = Retry(initial_delay_s=0.01, max_delay_s=0.05, max_attempts=50, last_pass=False)


def kinds(records: list[Record]) -> Counter[str]:
    """Return how many parameters have each kind of outcome."""
    assert len({record.index for record in records}) == len(records)
    return Counter(record.kind.value for record in records)


def results(records: list[Record]) -> dict[tuple[str, int], Any]:
    """Return what came of each parameter."""
    return {(record.parameter["shop"], record.parameter["item"]): record.result for record in records}


def stock(session: Any, shop: str, item: int) -> Any:
    """Ask for an item of a shop."""
    response = session.get(f"/stock/{item}")
    response.raise_for_status()
    return response.json()["left"]


@pytest.mark.parametrize(("asked", "is_sorted"), [(STOCK, True), (stock, False)], ids=["request", "function"])
def test_shops_in_trouble_hold_up_none_of_the_others(tmp_path: Path, asked: Any, *, is_sorted: bool) -> None:
    """Of 200 shops, one refuses by 429, one hangs and one closes each connection, all until the others are done.

    Each shop has its own password. If any of the others had to wait for one of these, the fetch would never end.
    """
    troubled = ("shop-0", "shop-1", "shop-199")
    # Their throttle recovers slowly; two parameters each are enough.
    parameters = [(shop, item) for shop in SHOPS for item in range(2 if shop in troubled else 10)]
    if not is_sorted:
        random.Random(7).shuffle(parameters)
    shops = Shops(total=197 * 10)

    def refuses(_seen: Seen, _connection: Connection) -> bytes | None:
        return None if shops.rest_is_done.is_set() else answer(b"", "429 Too Many Requests", "Retry-After: 1")

    def hangs(_seen: Seen, connection: Connection) -> None:
        while not shops.rest_is_done.is_set():
            connection.pause(0.02)

    def closes(_seen: Seen, connection: Connection) -> None:
        if not shops.rest_is_done.is_set():
            connection.hang_up(reset=True)

    shops.troubles = dict(zip(troubled, (refuses, hangs, closes), strict=True))
    with Server(shops.handle) as server:
        how = FetchSettings(concurrency=32, retry=QUICK)
        progress, records = fetched(tmp_path, asked, shops.endpoints(server, SHOPS), parameters, how)
    assert kinds(records) == {"ok": 1_976}
    assert results(records) == {(shop, item): item for shop, item in parameters}
    assert progress.summary()["done"] == 1_976
    assert shops.most_under_way["all"] <= 32


@pytest.mark.parametrize("asked", [STOCK, stock], ids=["request", "function"])
def test_the_concurrency_is_that_of_all_shops_together(tmp_path: Path, asked: Any) -> None:
    """Forty shops with two parameters each: never more than eight requests at once, also of those that are the last."""
    names = SHOPS[:40]
    shops = Shops(troubles=dict.fromkeys(names, lambda _seen, connection: connection.pause(0.05)))
    parameters = [(shop, item) for shop in names for item in range(2)]
    with Server(shops.handle) as server:
        _, records = fetched(tmp_path, asked, shops.endpoints(server, names), parameters, FetchSettings(concurrency=8))
    assert kinds(records) == {"ok": 80}
    assert 2 <= shops.most_under_way["all"] <= 8
    assert max(shops.most_under_way[name] for name in names) <= 2


def test_a_rate_is_each_shops_own(tmp_path: Path) -> None:
    """Forty shops with ten requests per second each: none sees more in any second, and together they see many times."""
    names = SHOPS[:40]
    moments: dict[str, list[float]] = {name: [] for name in names}

    def note(seen: Seen, _connection: Connection) -> None:
        moments[shop_of(seen)].append(time.monotonic())

    shops = Shops(troubles=dict.fromkeys(names, note))
    with Server(shops.handle) as server:
        how = FetchSettings(concurrency=32, throttle=Throttle(rate_per_s=10))
        parameters = [(shop, item) for item in range(15) for shop in names]
        _, records = fetched(tmp_path, STOCK, shops.endpoints(server, names), parameters, how)
    assert kinds(records) == {"ok": 600}
    for sent in moments.values():
        # The first eleven don't fit into one second.
        assert sent[10] - sent[0] > 0.95
    begun, ended = min(map(min, moments.values())), max(map(max, moments.values()))
    # One rate for all would have taken a minute; a machine that is slow may take a part of that.
    assert ended - begun < 40


def test_a_shop_that_refuses_its_password_ends_alone(tmp_path: Path) -> None:
    """The others come to their end; then the fetch fails, says which and why, and the next try asks for the rest."""
    names = SHOPS[:5]
    parameters = [(shop, item) for item in range(20) for shop in names]
    shops = Shops()
    how = FetchSettings(concurrency=8, retry=QUICK)
    directory = frozen(tmp_path, parameters, ("shop", "item"))
    with Server(shops.handle) as server:
        endpoints = shops.endpoints(server, names)
        wrong = {**endpoints, "shop-3": replace(endpoints["shop-3"], password="changed since then")}
        with pytest.raises(ConnectionsGivenUp) as caught:
            fetched(tmp_path, STOCK, wrong, (), how, directory=directory)
        words = str(caught.value)
        assert caught.value.retry is False
        assert "1 of 5 connections were given up. The others are done: 80 of 100 parameters" in words
        assert "shop-3: The fetch ended after 3 request(s), before the API gave a first answer" in words
        assert "changed since" not in words
        before = len(server.seen)
        progress, records = fetched(tmp_path, STOCK, endpoints, (), how, directory=directory)
        assert [shop_of(seen) for seen in server.seen[before:]] == ["shop-3"] * 20
    assert progress.summary()["resumed"] == 80
    assert kinds(records) == {"ok": 100}


def test_a_shop_whose_parameters_fail_trips_its_own_breaker(tmp_path: Path) -> None:
    """With `max_failures=1.0` its failures are outcomes like all others."""
    names = SHOPS[:4]
    parameters = [(shop, item) for item in range(60) for shop in names]
    shops = Shops(troubles={"shop-2": lambda _seen, _connection: answer(b"", "404 Not Found")})
    for max_failures, number in ((0.5, 1), (1.0, 2)):
        how = FetchSettings(concurrency=8, retry=QUICK, breaker=Breaker(max_failures=max_failures, canary=10))
        with Server(shops.handle) as server:
            asked = (tmp_path / str(number), STOCK, shops.endpoints(server, names), parameters, how)
            if number == 1:
                with pytest.raises(
                    ConnectionsGivenUp, match=r"shop-2: Stopped after 10 of 60 parameters: all 10 failed"
                ):
                    fetched(*asked)
            else:
                _, records = fetched(*asked)
                assert kinds(records) == {"ok": 180, "http_error": 60}


def test_a_long_pause_is_waited_for_as_long_as_others_go_on(tmp_path: Path) -> None:
    """When all that is left wants to wait, the task gives its worker slot back until the first pause is over."""
    names = SHOPS[:4]
    pauses = {"shop-0": "3600", "shop-1": "1800"}

    def wants_a_pause(seen: Seen, _connection: Connection) -> bytes:
        return answer(b"", "429 Too Many Requests", f"Retry-After: {pauses[shop_of(seen)]}")

    shops = Shops(troubles=dict.fromkeys(pauses, wants_a_pause))
    parameters = [(shop, item) for shop in names for item in range(50)]
    with Server(shops.handle) as server, pytest.raises(LongWait) as caught:
        fetched(tmp_path, STOCK, shops.endpoints(server, names), parameters, FetchSettings(concurrency=8))
    assert 1_700 < caught.value.seconds <= 1_800
    assert (caught.value.done, caught.value.total) == (100, 200)
    assert sum(shop_of(each) in pauses for each in server.seen) == 2


def test_a_batch_has_parameters_of_one_shop_only(tmp_path: Path) -> None:
    """Whole batches, although the list changes from shop to shop with each parameter."""
    names = SHOPS[:7]
    request = Request(
        endpoint="/many",
        method="POST",
        json={"items": ["{item}"]},
        repeatable=True,
        result="found",
        batch=Batch(size=10, by={"id": "item"}, missing="invalid", item="left"),
    )
    sizes: Counter[int] = Counter()

    def many(seen: Seen, _connection: Connection) -> bytes:
        wanted = json.loads(seen.body)["items"]
        assert {item // 1_000 for item in wanted} == {names.index(shop_of(seen))}
        sizes[len(wanted)] += 1
        return as_json({"found": [{"id": item, "left": -item} for item in wanted]})

    shops = Shops(troubles=dict.fromkeys(names, many))
    parameters = [(shop, 1_000 * names.index(shop) + item) for item in range(95) for shop in names]
    with Server(shops.handle) as server:
        _, records = fetched(tmp_path, request, shops.endpoints(server, names), parameters, FetchSettings())
    assert results(records) == {(shop, item): -item for shop, item in parameters}
    assert sizes == {10: 63, 5: 7}


def telling(session: Any, shop: str, item: int) -> Any:
    """Ask for an item, and print the passwords of two shops."""
    left = stock(session, shop, item)
    print(password(shop), "and", password("shop-29"))
    return left


def test_no_password_of_any_shop_is_told(tmp_path: Path) -> None:
    """Whatever a function prints, the secrets of all connections are taken out of it."""
    names = SHOPS[:30]
    lines: list[str] = []
    shops = Shops()
    with Server(shops.handle) as server:
        parameters = [(shop, 7) for shop in names]
        fetched(
            tmp_path,
            telling,
            shops.endpoints(server, names),
            parameters,
            FetchSettings(concurrency=4),
            hear=lambda message: lines.append(message.text) if isinstance(message, Output) else None,
        )
    assert lines == ["… and …"] * 30


class TokenShops:
    """Shops with a token endpoint each, whose first tokens are good for some requests only."""

    def __init__(self, uses: int) -> None:
        self.uses = uses
        self.down: set[str] = set()
        self.tokens: dict[str, int] = {}
        self.used: Counter[str] = Counter()
        self.issued: Counter[str] = Counter()
        self._lock = threading.Lock()

    def handle(self, seen: Seen, _connection: Connection) -> bytes:
        """Give a token, or what a token opens."""
        shop = shop_of(seen)
        with self._lock:
            if seen.path.endswith("/token"):
                if shop in self.down:
                    return as_json({}, "503 Service Unavailable")
                expected = base64.b64encode(f"client:{quote_plus(password(shop))}".encode()).decode()
                if seen.headers["authorization"] != f"Basic {expected}":
                    return as_json({"error": "invalid_client"}, "401 Unauthorized")
                self.issued[shop] += 1
                return as_json({"access_token": f"{shop}.{self.issued[shop]}", "expires_in": 3_600})
            token = f"{shop}.{self.issued[shop]}"
            is_used_up = self.issued[shop] == 1 and self.used[token] >= self.uses
            if seen.headers.get("authorization") != f"Bearer {token}" or is_used_up:
                return as_json({}, "401 Unauthorized")
            self.used[token] += 1
        return as_json({"left": int(seen.path.rpartition("/")[2])})

    def logins(self, server: Server, names: list[str]) -> dict[str, ApiLogin]:
        """Return how to log in to each shop; its tokens aren't trusted for long."""
        return {name: self.login(server, name, password(name)) for name in names}

    def login(self, server: Server, name: str, secret: str) -> ApiLogin:
        """Return how to log in to a shop with a secret."""
        oauth2 = OAuth2(token_url=f"{server.origin}/{name}/token", client_id="client", client_secret=secret)
        return login(Endpoint(base_url=f"{server.origin}/{name}", auth="oauth2", oauth2=oauth2))


@pytest.mark.parametrize("asked", [STOCK, stock], ids=["request", "function"])
def test_each_shop_has_its_own_tokens(tmp_path: Path, asked: Any) -> None:
    """Each is renewed when that shop refuses it, and for that shop only; nothing is lost."""
    names = SHOPS[:50]
    api = TokenShops(uses=6)
    parameters = [(shop, item) for item in range(10) for shop in names]
    with Server(api.handle) as server:
        logins = api.logins(server, names)
        for each in logins.values():
            trust_no_longer(each)
        _, records = fetched(tmp_path, asked, logins, parameters, FetchSettings(concurrency=16, retry=QUICK))
    assert kinds(records) == {"ok": 500}
    assert {record.attempts for record in records} == {1}
    assert set(api.issued.values()) == {2}


def test_a_refused_client_is_known_before_the_first_request(tmp_path: Path) -> None:
    """All of them in one message, each with its connection."""
    names = SHOPS[:6]
    api = TokenShops(uses=100)
    with Server(api.handle) as server:
        logins = api.logins(server, names)
        for name in names[2:4]:
            logins[name] = api.login(server, name, "wrong")
        with pytest.raises(BadConnections) as caught:
            fetched(tmp_path, STOCK, logins, [(shop, 1) for shop in names], FetchSettings())
        assert {seen.path.rpartition("/")[2] for seen in server.seen} == {"token"}
    words = str(caught.value)
    assert "http_conn_id='{shop}' names 2 connections that can't be used. Nothing was requested." in words
    assert "shop-2" in words
    assert "shop-3" in words
    assert "invalid_client" in words


def test_a_token_endpoint_that_is_down_holds_up_its_own_shop_only(tmp_path: Path) -> None:
    """The others are done before it has given its first token."""
    names = SHOPS[:6]
    api = TokenShops(uses=100)
    api.down.add("shop-4")
    parameters = [(shop, item) for shop in names for item in range(10)]

    def hear(message: FetchMessage) -> None:
        if isinstance(message, ProgressReport) and message.progress.done == 50:
            api.down.clear()

    with Server(api.handle) as server:
        logins = api.logins(server, names)
        _, records = fetched(tmp_path, STOCK, logins, parameters, FetchSettings(), hear=hear, first_s=0.5)
    assert kinds(records) == {"ok": 60}


def ending(session: Any, shop: str, item: int) -> Any:
    """Ask for an item; one call ends the engine, when the first tokens are used up."""
    left = stock(session, shop, item)
    if (shop, item) == ("shop-3", 8):
        os._exit(3)
    return left


def test_an_engine_that_is_restarted_has_the_newest_credentials_of_each_shop(tmp_path: Path) -> None:
    """It goes on for all shops; the call that has ended the first one is that parameter's outcome."""
    names = SHOPS[:12]
    api = TokenShops(uses=6)
    parameters = [(shop, item) for item in range(10) for shop in names]
    with Server(api.handle) as server:
        logins = api.logins(server, names)
        for each in logins.values():
            trust_no_longer(each)
        _, records = fetched(tmp_path, ending, logins, parameters, FetchSettings(concurrency=4, retry=QUICK))
    assert kinds(records) == {"ok": 119, "error": 1}
    [ended] = [record for record in records if record.kind.value == "error"]
    assert ended.parameter == {"shop": "shop-3", "item": 8}
    assert ended.failure is not None
    assert "exited with code 3" in ended.failure.message
