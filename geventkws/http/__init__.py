"""HTTP/1.1 for a WSGI application: one greenlet per connection, until it ends or is upgraded."""
