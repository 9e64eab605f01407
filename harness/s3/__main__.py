"""``python -m harness.s3 PORT``: serve S3 on 127.0.0.1, in memory, until the process ends."""

from __future__ import annotations

import argparse

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from harness.s3.counting import Counting


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m harness.s3", description=__doc__)
    parser.add_argument("port", type=int)
    application = Counting(DomainDispatcherApplication(create_backend_app))
    server = make_server(
        "127.0.0.1", parser.parse_args().port, application, threaded=True, request_handler=MotoRequestHandler
    )
    server.serve_forever()


if __name__ == "__main__":
    main()
