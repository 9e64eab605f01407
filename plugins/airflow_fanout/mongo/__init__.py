"""How results become documents, and how these get into MongoDB."""
