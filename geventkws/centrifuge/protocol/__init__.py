"""The Centrifuge client protocol: bytes to commands, and replies to bytes. No sockets, no clock."""
