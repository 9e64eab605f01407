"""The questions that the simulation answers, one module for each."""
