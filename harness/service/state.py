"""What the service's handlers share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from harness.service.counters import Counters
from harness.service.invoices import customers
from harness.service.line import Line
from harness.service.pace import Pace
from harness.service.quota import Quota
from harness.service.subscribers import roster
from harness.service.tokens import Issuer

if TYPE_CHECKING:
    from harness.service.faults import Faults
    from harness.service.options import Options


class State:
    """The settings, the faults in force, and what arrived so far; made in the service's event loop."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.faults = options.faults
        self.clock = asyncio.get_running_loop().time
        self.counters = Counters(Pace(self.clock()))
        self.quota = Quota()
        self.line = Line(options.faults.queue)
        self.everyone = roster(options.seed, options.subscribers)
        self.known = frozenset(subscriber.tel for subscriber in self.everyone)
        self.issuer = Issuer(options)
        self.customers = customers(options.customers)
        self.active = frozenset(customer.id for customer in self.customers if customer.active)

    def take(self, faults: Faults) -> None:
        """Put other faults in force, from the next request on."""
        self.faults = faults
        self.line.resize(faults.queue)
