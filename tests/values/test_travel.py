"""Values that travel: pickled, copied, as JSON between processes, and refused if another version has written them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import cloudpickle
import pytest
from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.codec import NotJson
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.messages import Start, encode, from_parent
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry, Throttle, Timeouts

SECRETS = ("pass-phrase", "key-4711", "proxy-word")
ENDPOINT = Endpoint(
    base_url="https://api.example",
    login="reporter",
    password=SECRETS[0],
    headers={"X-Api-Key": SECRETS[1]},
    cert=("client.pem", "client.key"),
    proxies={"https": f"http://user:{SECRETS[2]}@proxy.example:3128"},
)
REQUEST = Request(endpoint="/calls/{tel}", query={"day": "{{ ds }}"}, null_statuses=[404])
JOB = Job(
    directory="/staging/list-0001",
    start=0,
    stop=10,
    shard=0,
    generation=1,
    endpoint=ENDPOINT,
    request=REQUEST,
    function=b"\x00\xff",
    settings=FetchSettings(),
    path=("/dags", ""),
    digests={"report": "0af1"},
    attempt=1,
    fatal=((3, "it has crashed"),),
)
SETTINGS = FetchSettings(timeouts=Timeouts(total_s=5), retry=Retry(max_attempts=3), breaker=Breaker(canary=0))
VALUES = [SETTINGS, SETTINGS.retry, Throttle(rate_per_s=9.5), ENDPOINT, REQUEST, JOB]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_copy_equals_its_original(value: Any) -> None:
    """Airflow copies its operators, and a function that holds a value is pickled."""
    for there in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)), replace(value)):  # noqa: S301 - its own
        assert there == value
        assert repr(there) == repr(value)
    assert cloudpickle.loads(cloudpickle.dumps(lambda: value))() == value


def received(line: bytes) -> Job:
    """Return the job in the parent's first message."""
    message = from_parent(line)
    assert isinstance(message, Start)
    return message.job


def test_a_job_comes_back_equal() -> None:
    """What the engine reads from its pipe is the job that its parent has written."""
    line = encode(Start(JOB))
    assert line.count(b"\n") == 1
    there = received(line)
    assert there == JOB


def test_statuses_may_be_any_collection() -> None:
    """A range or a set of statuses reaches the engine as well."""
    for statuses in (range(500, 502), {500, 501}, [500, 501]):
        settings = FetchSettings(retry=Retry(statuses=statuses))  # type: ignore[arg-type] # what is tried here
        there = received(encode(Start(replace(JOB, settings=settings))))
        assert sorted(there.settings.retry.statuses) == [500, 501]


def test_a_job_of_another_version_is_refused() -> None:
    """A field that isn't known, one of another type, and one that is missing, each named."""
    name, fields = codec.decode(encode(Start(JOB)))
    for changed, problem in (
        ({**fields, "speed": 1}, "unknown field `speed`"),
        ({**fields, "settings": {**fields["settings"], "speed": 1}}, "unknown field `speed`"),
        ({**fields, "start": "0"}, r"Expected `int`, got `str` - at `\$\[1\]\.start`"),
        ({field: value for field, value in fields.items() if field != "stop"}, "missing required field `stop`"),
    ):
        with pytest.raises(NotJson, match=problem):
            received(codec.encode([name, changed]))


def test_what_json_cant_hold_is_refused() -> None:
    """Nothing is turned into something else without a word."""
    with pytest.raises(TypeError, match="JSON has no form for a value of type object"):
        encode(Start(replace(JOB, request=Request(endpoint="/", query={"x": object()}))))


def test_neither_an_endpoint_nor_what_holds_one_shows_its_secrets() -> None:
    """In whichever way it is printed."""
    for shown in (repr(ENDPOINT), str(ENDPOINT), f"{ENDPOINT}", repr(JOB), repr([ENDPOINT]), repr(copy.copy(ENDPOINT))):
        assert not [secret for secret in SECRETS if secret in shown]
    assert "base_url='https://api.example', login='reporter', auth='basic'" in repr(ENDPOINT)


@pytest.mark.parametrize("field", ["empty_is_null", "repeatable", "own_connection"])
def test_a_switch_of_a_request_is_true_or_false(field: str) -> None:
    """A text such as "no" would count as true."""
    with pytest.raises(BadSetting, match=f"{field} is 'no': expected True or False"):
        Request(endpoint="/", **{field: "no"})  # type: ignore[arg-type] # what is tried here
