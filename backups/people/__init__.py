"""Who may sign in and as what: roles in words, links that set a password, sessions, and what is refused."""
