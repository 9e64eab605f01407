"""The demonstration: a real HTTP service, an embedded MongoDB, and a keeper of processes."""
