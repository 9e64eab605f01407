"""libcurl on gevent's loop: what both drivers are built on."""
