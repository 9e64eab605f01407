"""The service as a SaaS company's API: tokens that end, and invoices in pages."""

from __future__ import annotations

from datetime import date
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import requests

from harness.service import DemoService
from harness.service.invoices import INVOICES, PAGES, invoices_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "2026-11-22"
CLIENT = ("client", "s:e cret")
TIMEOUT_S = 10
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def running() -> Iterator[DemoService]:
    """Give one service to all tests."""
    with DemoService.start(
        subscribers=2,
        customers=40,
        client_id=CLIENT[0],
        client_secret=CLIENT[1],
        username="ada",
        password="p",
        refresh_token="first",
    ) as service:
        yield service


@pytest.fixture
def service(running: DemoService) -> DemoService:
    """Give a service without faults, whose counts begin at nothing."""
    running.restore_faults()
    running.reset_stats()
    return running


def ask_for_token(service: DemoService, form: dict[str, str], **options: Any) -> requests.Response:
    """Ask the token endpoint."""
    return requests.post(f"{service.url}/oauth/token", data=form, timeout=TIMEOUT_S, **options)


def token(service: DemoService) -> str:
    """Return a new token."""
    form = {"grant_type": "client_credentials", "client_id": CLIENT[0], "client_secret": CLIENT[1]}
    answer = ask_for_token(service, form)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def invoices(service: DemoService, customer: str, token: str, cursor: str | None = None) -> requests.Response:
    """Ask for a page."""
    query = {"day": DAY, "cursor": cursor}
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{service.url}/customers/{customer}/invoices"
    return requests.get(url, params=query, headers=headers, timeout=TIMEOUT_S)


def test_the_pages_of_a_customer_are_the_days_invoices(service: DemoService) -> None:
    """In order, each page counted once; asking for one again is counted, too."""
    opened = token(service)
    pages, cursor = [], None
    while True:
        page = invoices(service, "cus_000001", opened, cursor).json()
        pages.append(page["data"])
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    everything = [invoice["id"] for page in pages for invoice in page]
    assert len(pages) == PAGES
    assert everything == [invoice.id for invoice in invoices_of(7, "cus_000001", date(2026, 11, 22))]
    assert len(set(everything)) == INVOICES
    assert service.stats()["pages"] == {"answered": PAGES, "again": 0}
    invoices(service, "cus_000001", opened, cursor)
    assert service.stats()["pages"] == {"answered": PAGES, "again": 1}


def test_a_customer_who_is_not_active_is_unknown(service: DemoService) -> None:
    """And isn't in the list; so is one beyond the last."""
    opened = token(service)
    listed = requests.get(
        f"{service.url}/customers", headers={"Authorization": f"Bearer {opened}"}, timeout=TIMEOUT_S
    ).json()["data"]
    assert len(listed) == 38
    assert [invoices(service, name, opened).status_code for name in ("cus_000020", "cus_000041")] == [404, 404]


@pytest.mark.parametrize("cursor", ["abc", "Y3VzXzAwMDAwMjoy", "Y3VzXzAwMDAwMTox"])
def test_a_cursor_is_one_of_the_customers_own(service: DemoService, cursor: str) -> None:
    """Another customer's, and one between two pages, are refused."""
    answer = invoices(service, "cus_000001", token(service), cursor)
    assert (answer.status_code, answer.json()["error"]) == (400, "The cursor is none of this customer's.")


def test_nobody_gets_in_without_a_token_that_is_good(service: DemoService) -> None:
    """Neither with none, nor with one that has ended; the counts stay open to their owner."""
    service.set_faults(token_lifetime_s=0.0)
    answers = [invoices(service, "cus_000001", text) for text in ("", "access-7-000000", token(service))]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert answers[0].headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert service.stats()["tokens"] == {"issued": 1, "refused": 0}


def test_the_client_proves_itself_in_the_body_or_by_basic(service: DemoService) -> None:
    """By basic authentication form-encoded (RFC 6749, 2.3.1); a wrong secret is refused."""
    form = {"grant_type": "client_credentials"}
    assert ask_for_token(service, form, auth=("client", "s%3Ae+cret")).json()["expires_in"] == HOUR_S
    wrong = ask_for_token(service, form, auth=("client", "no"))
    assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid_client"})
    assert ask_for_token(service, {**form, "client_id": "client"}).status_code == 401
    assert service.stats()["tokens"] == {"issued": 1, "refused": 2}


def test_a_user_and_a_refresh_token_are_grants_too(service: DemoService) -> None:
    """A refresh token that rotates is good once."""
    user = {"grant_type": "password", "username": "ada", "password": "p"}
    refresh = {"grant_type": "refresh_token", "refresh_token": "first"}
    basic = {"auth": ("client", "s%3Ae+cret")}
    assert ask_for_token(service, user, **basic).status_code == 200
    assert ask_for_token(service, {**user, "password": "q"}, **basic).json() == {"error": "invalid_grant"}
    assert "refresh_token" not in ask_for_token(service, refresh, **basic).json()
    service.set_faults(token_rotates=True)
    second = ask_for_token(service, refresh, **basic).json()["refresh_token"]
    assert ask_for_token(service, refresh, **basic).json() == {"error": "invalid_grant"}
    assert ask_for_token(service, {**refresh, "refresh_token": second}, **basic).status_code == 200
    assert ask_for_token(service, {"grant_type": "magic"}, **basic).json() == {"error": "unsupported_grant_type"}


def test_the_faults_of_the_token_endpoint(service: DemoService) -> None:
    """It refuses, answers HTML, doesn't say when a token ends, or hangs up."""
    form, basic = {"grant_type": "client_credentials"}, {"auth": ("client", "s%3Ae+cret")}
    service.set_faults(token_refused=True)
    assert ask_for_token(service, form, **basic).json() == {"error": "invalid_grant"}
    service.set_faults(token_refused=False, token_html=True)
    assert ask_for_token(service, form, **basic).text.startswith("<html>")
    service.set_faults(token_html=False, token_endless=True)
    assert "expires_in" not in ask_for_token(service, form, **basic).json()
    service.set_faults(token_endless=False, token_down=True)
    with pytest.raises(requests.ConnectionError):
        ask_for_token(service, form, **basic)


def test_a_quota_and_faults_are_about_invoices_too(service: DemoService) -> None:
    """A page beyond the second's quota gets 429 with Retry-After; a named customer always fails."""
    opened = token(service)
    service.set_faults(fail=["cus_000002"])
    assert invoices(service, "cus_000002", opened).status_code == 500
    service.set_faults(limit_per_s=1)
    answers = (invoices(service, "cus_000001", opened) for _ in count())
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Retry-After"] == "1"


def test_without_a_client_there_are_no_tokens() -> None:
    """The invoices are open to all, or to the service's own token."""
    with DemoService.start(subscribers=2, token="secret") as service:
        answer = ask_for_token(service, {"grant_type": "client_credentials"})
        assert (answer.status_code, invoices(service, "cus_000001", "secret").status_code) == (404, 200)
