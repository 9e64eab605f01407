"""What the demo, the tests and the benchmark run against: an HTTP service, a MongoDB, an Airflow, and their keeper."""
