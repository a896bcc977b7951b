"""Which repository lies at an address."""
