"""Measures geventkws and its peers side by side: see README.md in this directory."""
