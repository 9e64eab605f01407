"""The service makes exports: jobs that take their time, one for each order or key."""

from __future__ import annotations

from typing import Any

import requests

from harness.service import DemoService
from harness.service.invoices import customers
from tests.http.servers import until

TIMEOUT_S = 10
DAY = "2026-11-22"


def order(service: DemoService, customer: str, key: str | None = None) -> requests.Response:
    """Order an export."""
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"customer": customer, "day": DAY}
    return requests.post(f"{service.url}/exports", json=body, headers=headers, timeout=TIMEOUT_S)


def get(service: DemoService, path: str) -> Any:
    """Return the status and the JSON of an answer."""
    answer = requests.get(f"{service.url}{path}", timeout=TIMEOUT_S)
    return answer.status_code, answer.json()


def test_an_export_is_ready_after_its_time() -> None:
    """Until then it is running, and has no file; a key makes one export, orders without one make one each."""
    with DemoService.start(customers=4, export_s=0.3) as service:
        first, second = [customer.id for customer in customers(2)]
        export = order(service, first).json()["id"]
        assert get(service, f"/exports/{export}")[1]["status"] == "running"
        assert get(service, f"/exports/{export}/file")[0] == 409
        assert until(lambda: get(service, f"/exports/{export}")[1]["status"] == "done", TIMEOUT_S)
        where = get(service, f"/exports/{export}")[1]["file"]
        assert len(get(service, where)[1]["rows"]) == 6
        assert order(service, first).json()["id"] != export
        assert order(service, second, "k").json() == order(service, second, "k").json()
        stats = service.stats()["exports"]
        assert (stats["created"], stats["most_of_one"], stats["fetched"]) == (3, 2, 1)
        assert (order(service, "nobody").status_code, get(service, "/exports/none")[0]) == (404, 404)
