"""HTTP/1.1 for a WSGI application: what a request is, and how it is answered."""
