"""When what is due, and how old it may get."""
