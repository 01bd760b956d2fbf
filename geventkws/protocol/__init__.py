"""The WebSocket protocol without input or output: bytes and events in, bytes and events out.

Nothing here knows of gevent, sockets, TLS, clocks or threads. RFC 6455 throughout:

- ``handshake``, ``headers``, ``origin``: the opening handshake (section 4);
- ``frames``, ``masking``: the framing of data (section 5);
- ``messages``, ``utf8``: fragments, control frames in between, text (sections 5.4 to 5.6 and 8.1);
- ``extensions``, ``deflate``: compressed messages (RFC 7692);
- ``close``, ``close_codes``: close frames (sections 5.5.1 and 7.4);
- ``closing``: the closing handshake (section 7.1);
- ``endpoint``: one side of a connection, made of the parts above.
"""
