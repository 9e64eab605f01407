"""The control loop in virtual time: many more parameters, workers and hours than one machine has."""
