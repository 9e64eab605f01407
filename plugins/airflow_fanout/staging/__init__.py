"""The run's directory: what the tasks of one run hand to each other, as files."""
