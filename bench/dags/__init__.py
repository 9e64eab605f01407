"""The same ids, asked for by three DAGs; the answers go to MongoDB in each."""

CONNECTION = "bench_api"
COUNT = 500
