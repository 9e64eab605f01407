"""Makes the bucket of the staging area and of the task logs; run again, it changes nothing."""

from __future__ import annotations

import json
import os

import boto3
from botocore.exceptions import ClientError

BUCKET = "fanout"


def main() -> None:
    """Make the bucket unless it is there."""
    # As Airflow reads it: what works here works in a task.
    connection = json.loads(os.environ["AIRFLOW_CONN_STAGING"])
    client = boto3.client(
        "s3",
        aws_access_key_id=connection["login"],
        aws_secret_access_key=connection["password"],
        endpoint_url=connection["extra"]["endpoint_url"],
        region_name=connection["extra"]["region_name"],
    )
    try:
        client.head_bucket(Bucket=BUCKET)
    except ClientError as refusal:
        if refusal.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        client.create_bucket(Bucket=BUCKET)


if __name__ == "__main__":
    main()
