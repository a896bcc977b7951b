"""Which snapshot is meant, and which may go."""
