"""What plays the runs and clears up after those whose worker died."""
