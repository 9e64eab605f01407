"""A small telephone company's API over HTTP: its subscribers, their calls, and faults on demand.

``python -m harness.service`` runs it; ``DemoService`` runs it as a child and looks at what arrived there.
"""

from harness.service.child import DemoService

__all__ = ["DemoService"]
