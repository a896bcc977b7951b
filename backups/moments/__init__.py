"""Any moment of a database: which can be had by rows of its stored log, and where in the log it is."""
