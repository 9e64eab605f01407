"""The parent's side of the engine: the job, the process, and what it says."""
