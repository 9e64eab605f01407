"""Our load against a bare `bulk_write` loop: the same documents, batches, index, write concern and server.

    python -m bench.load             five rounds of 100,000 documents
    python -m bench.load 3 20000     three rounds of 20,000

The loop has its documents in memory already, as dictionaries. Ours is all that the operator does: it reads the journal,
makes, encodes and checks the documents, makes the index, writes, and counts. Each in a process of its own, on a new
collection, and then once more over the documents that are there. The order within a round is random.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from airflow_fanout.staging.folder import list_at
from bench import scale
from bench.scale import Cost, Row, Stage, cost_of, medians, staged, table, timed
from harness.mongod import Mongod

BATCH = 1000
ROUNDS = 5
NUMBER = 100_000
CLIENTS = {"bulk_write": "bare", "airflow-fanout": "load"}
CASES = ("load, new", "load, again")


def measure(rounds: int = ROUNDS, number: int = NUMBER) -> list[Row]:
    """Return the medians of both in both cases."""
    found: dict[tuple[str, str], list[Cost]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="fanout-bench-") as folder,
        Mongod.start(Path(folder)) as mongod,
        staged(number, mongod.uri) as stage,
    ):
        for step in ("extract", "fetch", "validate"):
            cost_of("bench.scale", step, stage)
        for _ in range(rounds):
            for client in random.sample([*CLIENTS], len(CLIENTS)):
                cost_of("bench.load", "drop", stage)
                for case in CASES:
                    found.setdefault((case, client), []).append(cost_of("bench.load", CLIENTS[client], stage))
    return [medians(found[case, client]).row(case, client) for case in CASES for client in CLIENTS]


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Return our rate as a share of the bare loop's, for each case."""
    rates = {(row["case"], row["client"]): row["rate_per_s"] for row in rows}
    return {case: rates[case, "airflow-fanout"] / rates[case, "bulk_write"] for case in CASES}


def bare(stage: Stage) -> Cost:
    """Write the documents as one would without anything of ours."""
    from pymongo import MongoClient, ReplaceOne, WriteConcern

    from airflow_fanout.mongo.shape import parameter_and_result
    from airflow_fanout.staging.frozen import read_manifest
    from airflow_fanout.staging.results import Results

    directory = list_at(stage.reference["directory"])
    manifest = read_manifest(directory)
    documents = [
        {**parameter_and_result(record.parameter, record.result), "as_of": manifest.moment}
        for record in Results(directory, manifest).records()
    ]
    # The list is the measurement's own: looking through it for garbage, again and again, is no part of the loop.
    gc.freeze()

    with MongoClient[dict[str, object]](stage.uri) as client:
        collection = client.bench.get_collection("calls", write_concern=WriteConcern("majority", j=True))

        def write() -> None:
            collection.create_index([("as_of", 1), ("tel", 1)], unique=True)
            for begin in range(0, len(documents), BATCH):
                batch = [
                    ReplaceOne({"as_of": document["as_of"], "tel": document["tel"]}, document, upsert=True)
                    for document in documents[begin : begin + BATCH]
                ]
                collection.bulk_write(batch, ordered=False)

        return timed(stage.number, write)


def drop(stage: Stage) -> Cost:
    """Remove what the one before has written."""
    from pymongo import MongoClient

    with MongoClient[dict[str, object]](stage.uri) as client:
        return timed(stage.number, lambda: client.drop_database("bench"))


if __name__ == "__main__":
    if "--step" in sys.argv:
        scale.run_step({"bare": bare, "drop": drop, "load": scale.load})
    else:
        rows = measure(*map(int, sys.argv[1:]))
        print(table(rows))
        for case, ratio in ratios(rows).items():
            print(f"{case}: {100 * ratio:.0f} % of the bare loop's rate, with {os.cpu_count()} cores")
