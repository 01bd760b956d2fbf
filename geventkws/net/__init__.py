"""Descriptors, listeners and TLS: bytes from and to the network, whatever they mean."""
