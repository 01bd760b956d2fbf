"""What drives every connection, HTTP or WebSocket: whose turn it is, and which greenlet works for it."""
