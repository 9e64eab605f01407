"""Servers that say nothing: libcurl has no time limit for that, so it is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pycurl

if TYPE_CHECKING:
    from airflow_fanout.engine.libcurl.transfer import Transfer

# It is noticed within a tenth of the time that it may last, and looked for no more often than this.
_SHARE = 0.1
_SHORTEST_LOOK_S = 0.02


def look_every_s(read_s: float) -> float:
    """Return how often to look, in seconds, for a silence that may last for `read_s`."""
    return max(_SHORTEST_LOOK_S, read_s * _SHARE)


def is_silent(transfer: Transfer, begun_s: float, now_s: float, read_s: float) -> bool:
    """Return whether a server has said nothing for too long, and a body that goes out has stood still.

    :param transfer: the request under way.
    :param begun_s: when it was begun, by `time.monotonic`.
    :param now_s: the present moment.
    :param read_s: how long the silence may last, in seconds.
    """
    moved = transfer.easy.getinfo(pycurl.SIZE_UPLOAD_T) + transfer.size
    if moved != transfer.moved:
        transfer.moved, transfer.heard_s = moved, now_s
    heard_s = max(begun_s, transfer.heard_s)
    if now_s - heard_s < read_s:
        return False
    asked_s = transfer.easy.getinfo(pycurl.PRETRANSFER_TIME)
    # Until the connection stands it is the other time limit that counts.
    return bool(asked_s) and now_s - max(begun_s + asked_s, heard_s) >= read_s
