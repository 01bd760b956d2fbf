"""A connection after its upgrade: its messages, its end, and how long it may be silent."""
