"""What things are: outcomes, parameters, dates, settings, progress."""
