"""What drives every connection, HTTP or WebSocket: whose turn it is, and who works for it."""
