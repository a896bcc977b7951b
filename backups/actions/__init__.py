"""One module per verb, each the story of one run, readable top to bottom."""
