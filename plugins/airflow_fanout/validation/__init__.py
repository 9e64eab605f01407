"""Whether the results are good enough."""
