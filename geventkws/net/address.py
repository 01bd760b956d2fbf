"""Who is at the other end of a connection."""

Address = tuple[str, int] | str
"""A peer: host and port, or the path (mostly empty) of a Unix-domain socket."""
