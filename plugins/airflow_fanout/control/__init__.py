"""How fast, whether again, and when no more: pure decisions."""
