"""libcurl's multi interface in the way of pycurl's own example: `perform`, `info_read`, `select`."""

from __future__ import annotations

import json
from io import BytesIO

import pycurl

from bench.asked import Asked
from bench.peers.stopwatch import Stopwatch

SELECT_S = 1.0


def fetch(asked: Asked) -> list[float]:
    """Send all requests."""
    watch, urls = Stopwatch(), asked.urls()
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, asked.concurrency)
    free = [handle(asked) for _ in range(asked.concurrency)]
    held, left = list(free), asked.count
    while left:
        while free and (url := next(urls, None)):
            begin(multi, free.pop(), url, watch.now())
        while multi.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
            pass
        done = ended(multi)
        for each in done:
            finish(multi, each, watch)
        free += done
        left -= len(done)
        multi.select(SELECT_S)
    for each in held:
        each.close()
    multi.close()
    return watch.latencies


def handle(asked: Asked) -> pycurl.Curl:
    """Return a handle that can be used again and again."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.TIMEOUT, 60)
    if asked.authority:
        handle.setopt(pycurl.CAINFO, asked.authority)
    return handle


def begin(multi: pycurl.CurlMulti, handle: pycurl.Curl, url: str, now: float) -> None:
    """Begin a request."""
    handle.body, handle.begun = BytesIO(), now
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.WRITEDATA, handle.body)
    multi.add_handle(handle)


def ended(multi: pycurl.CurlMulti) -> list[pycurl.Curl]:
    """Return the handles that have their answers."""
    ended = []
    while True:
        queued, good, bad = multi.info_read()
        if bad:
            raise AssertionError(f"libcurl failed: {bad[0][1:]}")
        ended += good
        if not queued:
            return ended


def finish(multi: pycurl.CurlMulti, handle: pycurl.Curl, watch: Stopwatch) -> None:
    """Take an answer."""
    multi.remove_handle(handle)
    if handle.getinfo(pycurl.RESPONSE_CODE) != 200:
        raise AssertionError(f"status {handle.getinfo(pycurl.RESPONSE_CODE)}")
    json.loads(handle.body.getvalue())
    watch.stop(handle.begun)
