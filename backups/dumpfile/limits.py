"""How long a statement of a dump may be, in bytes."""

# A definition is text that somebody wrote.
LONGEST_DEFINITION = 16 << 20
# What a server takes at most in one statement. https://dev.mysql.com/doc/refman/8.4/en/packet-too-large.html
LONGEST_ROWS = (1 << 30) + (1 << 20)
