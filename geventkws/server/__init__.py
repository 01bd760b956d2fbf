"""The server: accepts and admits connections, answers upgrades, enforces time limits, and stops."""
