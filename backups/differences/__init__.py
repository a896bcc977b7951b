"""What changed from one dump of a database to another: objects, definitions and rows."""
