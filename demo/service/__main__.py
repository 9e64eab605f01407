"""Run the service: ``python -m demo.service --subscribers 2000 --latency-ms 50``."""

import asyncio
import sys

from demo.service.options import parse
from demo.service.server import serve

if __name__ == "__main__":
    asyncio.run(serve(parse(sys.argv[1:])))
