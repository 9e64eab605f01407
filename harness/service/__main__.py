"""Run the service: ``python -m harness.service --subscribers 2000 --latency-ms 50``."""

import asyncio
import sys

from harness.service.options import parse
from harness.service.server import serve

if __name__ == "__main__":
    asyncio.run(serve(parse(sys.argv[1:])))
