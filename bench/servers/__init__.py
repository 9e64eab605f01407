"""The servers under the benchmark: one of our own for plain HTTP, nginx for TLS."""
