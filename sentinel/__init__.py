"""The gate: answers whether the newest backup is fresh, from files alone."""
