"""Downloads, which the portal asks for and the worker streams: tickets, what the two say, and where."""
