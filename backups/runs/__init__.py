"""The life of a run: whose turn it is, how it goes on, how it ended. The only writers of runs and leases."""
