"""What is told of a run, as values: its failure, its recovery, its lateness, and the texts of them."""
