"""A real Redis, started on a port of its own."""

from harness.redis.server import Redis, RedisNotFound, RedisNotStarted

__all__ = ["Redis", "RedisNotFound", "RedisNotStarted"]
