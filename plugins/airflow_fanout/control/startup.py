"""The beginning of a fetch: whether the API will ever answer, found out by one request at a time."""

from __future__ import annotations

import math

from airflow_fanout.control.breaker import is_down
from airflow_fanout.model.outcome import Cause, Kind, Outcome

# A first answer that takes longer than this is slow, not missing: the others needn't wait for it.
LONGEST_HOLD_S = 5.0
# Between two requests that fail of the same cause: 0.5 s, then 1 s, so that a moment's confusion isn't taken for it.
PAUSE_S = 0.5
# The parameter that has met such a cause gives way to others, which may be answered.
GIVE_WAY_S = 2.0
# A slow cause, such as a resolver that times out, is believed after this number of seconds, even for one request.
BELIEVED_S = 5.0

_BY_STATUS = {401: Cause.CREDENTIALS, 403: Cause.FORBIDDEN, 407: Cause.PROXY_CREDENTIALS}


class Startup:
    """Looks for a cause that no waiting cures, until the API has given its first answer.

    :param attempts: the fetch ends once this number of requests has failed for such a cause; 0 turns this off.
    :param is_answered: whether an earlier try of the task has had answers.

    `is_on` says that there has been no answer yet, `is_held` that one request is under way at a time; the first one was
    sent at `begun_s`.
    """

    def __init__(self, attempts: int, *, is_answered: bool) -> None:
        self._attempts = attempts
        self.begun_s: float | None = None
        self._failing_s = math.inf
        self.failed = 0
        self.is_on = self.is_held = attempts > 0 and not is_answered

    def hold_s(self, in_flight: int, now_s: float) -> float:
        """Return for how long the next request waits for the end of the first one."""
        if self.begun_s is None:
            self.begun_s = now_s
        left_s = self.begun_s + LONGEST_HOLD_S - now_s
        self.is_held = self.is_held and (left_s > 0 or in_flight == 0)
        return left_s if self.is_held and in_flight else 0.0

    def add(self, outcome: Outcome, ms: float, now_s: float) -> Cause | None:
        """Note what came of a request after so long, in milliseconds; return the cause, if no waiting cures it."""
        cause = cause_of(outcome)
        if cause is None:
            # Whatever it is, it is worth going on; only an answer shows that somebody is there.
            self.is_held = False
            self.is_on = is_down(outcome) or outcome.kind is Kind.ERROR
            return None
        self.failed += 1
        self._failing_s = min(self._failing_s, now_s - ms / 1000)
        return cause

    @property
    def pause_s(self) -> float:
        """How long to wait before the next request, after one that has failed of such a cause."""
        return PAUSE_S * self.failed

    def is_hopeless(self, now_s: float) -> bool:
        """Return whether enough requests have failed, or for long enough."""
        return self.is_on and (self.failed >= self._attempts or now_s - self._failing_s >= BELIEVED_S)


def cause_of(outcome: Outcome) -> Cause | None:
    """Return the cause of a failure that no waiting cures; `None` for anything else.

    A server that names a time for the next request isn't refusing for good, whatever its status.
    """
    if outcome.kind is Kind.HTTP_ERROR and outcome.retry_after_s is None:
        return _BY_STATUS.get(outcome.status or 0)
    return outcome.cause
