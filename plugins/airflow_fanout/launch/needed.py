"""How many requests a fetch needs, as far as that is known before the first one."""

from __future__ import annotations

from airflow_fanout.launch.job import Job
from airflow_fanout.staging.directory import ListDirectory, ShardDirectory
from airflow_fanout.staging.live import last_seen


def least_requests(job: Job, directory: ListDirectory) -> int:
    """Return the least number of requests that a fetch needs; pages, retries and questions about jobs are more.

    What earlier tries of the generation have fetched isn't requested again.

    :param directory: that of the job's list.
    """
    left = len(job.indexes) - _fetched(directory.shard(job.shard), job.generation)
    size = job.request.batch.size if job.request and job.request.batch else 1
    return max(0, -(-left // size))


def _fetched(shard: ShardDirectory, generation: int) -> int:
    """Return how many parameters have a good outcome, as the last try has seen it at its end, or just before."""
    if shard.generation(generation).newest_try() is None:
        return 0
    snapshot = last_seen(shard.progress)
    return snapshot.ok if snapshot else 0
