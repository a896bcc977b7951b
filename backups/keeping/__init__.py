"""What is kept back for a person to look at."""
