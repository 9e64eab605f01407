"""A handle is used for one request after the other: what was heard of one is forgotten before the next."""

from __future__ import annotations

import pycurl
import pytest

from airflow_fanout.api.request import Request
from airflow_fanout.engine.transport.by_curl import CurlTransport
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import FetchSettings
from tests.engine.harness import NOWHERE


def transport(method: str) -> CurlTransport:
    """Give the transport of a declarative request."""
    request = Request(endpoint="/{tel}", method=method, json={"tel": "{tel}"} if method == "POST" else None)  # type: ignore[arg-type] # one of the two
    return CurlTransport(NOWHERE, request, ("tel",), FetchSettings())


@pytest.mark.parametrize(("method", "unprocessed"), [("GET", True), ("POST", False)])
def test_data_from_before_the_request_is_no_answer(method: str, unprocessed: bool) -> None:
    """A repeatable request is sent again; the next one on the handle that can't connect is an ordinary failure."""
    curl = transport(method)
    transfer = curl.new_transfer()
    transfer.is_early = True
    # As the handles' set does it, so that the answer doesn't begin like a usual one.
    transfer.lines += [b"", b"HTTP/1.1 200 OK\r\n", b"\r\n"]
    early = curl.outcome(transfer, 0, "")
    transfer.clear()
    failed = curl.outcome(transfer, pycurl.E_COULDNT_CONNECT, "Connection refused")
    assert early
    assert failed
    assert (early.kind, early.unprocessed) == (Kind.CONNECTION_ERROR, unprocessed)
    assert (failed.kind, failed.unprocessed) == (Kind.CONNECTION_ERROR, False)
    assert failed.failure
    assert failed.failure.message == "Connection refused"


def test_a_refused_stream_is_of_one_request() -> None:
    """If the server is gone afterwards, that is no refusal: it counts as an outage, and costs an attempt."""
    curl = transport("POST")
    transfer = curl.new_transfer()
    transfer.hear(pycurl.INFOTYPE_TEXT, b"HTTP/2 stream 1 refused by server, try again on a new connection")
    refused = curl.outcome(transfer, pycurl.E_SEND_FAIL_REWIND, "necessary data rewind was not possible")
    transfer.clear()
    failed = curl.outcome(transfer, pycurl.E_COULDNT_CONNECT, "Connection refused")
    assert refused
    assert failed
    assert (refused.unprocessed, failed.unprocessed) == (True, False)
