"""The parts of `make run`."""
