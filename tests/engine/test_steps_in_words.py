"""What people read of a failure at one of several requests: which one it was, and whether a job may exist."""

from __future__ import annotations

import pytest

from airflow_fanout.engine.job_steps import Stage
from airflow_fanout.model.outcome import Failure, Kind
from airflow_fanout.privacy.telling import JOB_MAY_EXIST, words_of


@pytest.mark.parametrize("step", ["page 12: ", *(f"{stage.value}: " for stage in Stage)])
def test_the_step_is_ours_and_stays(step: str) -> None:
    """What the server says beside its status is left out, as for any other request."""
    refused = Failure("HTTPError", f"{step}HTTP 500 of +12025550100")
    assert words_of(refused, kind=Kind.HTTP_ERROR, status=500) == f"{step}HTTP 500 Internal Server Error"
    unsure = Failure("HTTPError", f"{step}HTTP 500 Oh{JOB_MAY_EXIST}: it isn't created again")
    assert words_of(unsure, kind=Kind.HTTP_ERROR, status=500) == (
        f"{step}HTTP 500 Internal Server Error. A job may exist: it isn't created again"
    )
    bad = Failure("ApiError", f"{step}+12025550100 is blocked")
    assert words_of(bad, kind=Kind.API_ERROR, status=200).startswith(f"{step}the answer's body says")


def test_a_job_that_has_failed_is_said() -> None:
    """Its status is a word of the API's own, or masked already."""
    failure = Failure("JobFailed", "asking about the job: the job has failed; its status is cancelled")
    assert words_of(failure, kind=Kind.API_ERROR, status=200) == failure.message
