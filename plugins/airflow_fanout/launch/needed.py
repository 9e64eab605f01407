"""How many requests a fetch needs, as far as that is known before the first one."""

from __future__ import annotations

from airflow_fanout.launch.job import Job
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.live import last_seen


def least_requests(job: Job, directory: ListDirectory) -> int:
    """Return the least number of requests that a fetch needs; pages, retries and questions about jobs are more.

    What the generation's last try had fetched when it was seen last isn't requested again.

    :param directory: that of the job's list.
    """
    shard = directory.shard(job.shard)
    # A try may have been claimed for this very job. Without a part, the snapshot is of another generation.
    has_begun = bool(shard.generation(job.generation).parts())
    snapshot = last_seen(shard.progress) if has_begun else None
    left = len(job.indexes) - (snapshot.ok if snapshot else 0)
    size = job.request.batch.size if job.request and job.request.batch else 1
    return max(0, -(-left // size))
