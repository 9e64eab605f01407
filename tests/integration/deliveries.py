"""What Celery's broker has delivered: messages that no worker has acknowledged so far, and their second delivery."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.integration.runs import until

if TYPE_CHECKING:
    from redis import Redis

# Where Celery keeps them, and the queue that Airflow's workers take from.
UNACKNOWLEDGED = "unacked"
DELIVERED_AT = "unacked_index"
QUEUE = "default"
# Celery looks for messages whose time is over every 100 s; here each second.
LOOK_OFTEN: Mapping[str, str] = {
    "celery_broker_transport_options.unacked_restore_interval": "1",
    "celery_broker_transport_options.unacked_restore_throttle": "1",
}


@dataclass(frozen=True)
class Message:
    """A message that tells a worker to run a try of a task."""

    tag: str
    celery_id: str
    task_id: str
    map_index: int
    try_number: int


class Deliveries:
    """The messages in a Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def of_shard(self, map_index: int, try_number: int) -> Message:
        """Return the message of a shard's try, which is delivered and not acknowledged."""
        return until(
            lambda: next(
                (
                    message
                    for message in self._unacknowledged()
                    if (message.task_id, message.map_index, message.try_number) == ("fetch", map_index, try_number)
                ),
                None,
            ),
            what=f"an unacknowledged message of shard {map_index}, try {try_number}",
        )

    def again(self, message: Message) -> None:
        """Let a message's `visibility_timeout` be over: the next look of any worker puts it into the queue again."""
        assert self._redis.zadd(DELIVERED_AT, {message.tag: 0}, xx=True, ch=True) == 1

    def settled(self, messages: Collection[Message]) -> bool:
        """Tell whether no worker has any of the messages, and none waits."""
        has_none = not any(self._redis.hexists(UNACKNOWLEDGED, message.tag) for message in messages)
        return has_none and not self._redis.llen(QUEUE)

    def _unacknowledged(self) -> Iterator[Message]:
        for tag, content in self._redis.hgetall(UNACKNOWLEDGED).items():
            payload, _, _ = json.loads(content)
            [workload], _, _ = json.loads(base64.b64decode(payload["body"]))
            task = json.loads(workload)["ti"]
            yield _message(tag.decode(), payload["headers"]["id"], task)


def _message(tag: str, celery_id: str, task: dict[str, Any]) -> Message:
    return Message(tag, celery_id, task["task_id"], task["map_index"], task["try_number"])
