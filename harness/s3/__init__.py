"""An S3 server of this machine, by moto, in a process of its own: it counts its requests, and goes away when asked."""

from harness.s3.server import S3NotStarted, S3Server

__all__ = ["S3NotStarted", "S3Server"]
