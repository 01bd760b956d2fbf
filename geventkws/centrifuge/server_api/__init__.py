"""The HTTP API by which the application's other programs publish and look after users."""
