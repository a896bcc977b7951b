"""What makes a machine ready for Vedetta. Runs before `.venv` exists: only Python's own library."""
