"""The server: it accepts and admits connections, answers upgrades, keeps the time limits, and stops."""
