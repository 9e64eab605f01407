from __future__ import annotations

from hypothesis import settings

# On a busy machine an example may take any time; what a test proves is no matter of time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
