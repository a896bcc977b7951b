"""The swap, what it must carry, and the way back."""
