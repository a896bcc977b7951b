"""From the environment to the first rows, and whether the two still agree."""
