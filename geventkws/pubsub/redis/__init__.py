"""Channels of many processes and machines, on Redis or Valkey."""
