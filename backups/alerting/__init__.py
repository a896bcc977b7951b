"""What tells people by itself: of what failed, what is overdue, and who fell silent."""
