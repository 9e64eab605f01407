"""A small telephone company's API over HTTP: its subscribers, their calls, and faults on demand.

``python -m demo.service`` runs it; ``DemoService`` runs it as a child and looks at what arrived there.
"""

from demo.service.child import DemoService

__all__ = ["DemoService"]
