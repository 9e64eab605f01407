"""The alerts about a run, as values: that it failed, recovered or is late, with their texts."""
