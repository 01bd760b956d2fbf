"""Descriptors, listeners and TLS: bytes to and from the network, whatever they mean."""
