"""The WebSocket protocol without I/O: bytes and events in, bytes and events out.

Nothing here knows about gevent, sockets, TLS, clocks or threads. The sections are those of RFC 6455:

- ``handshake``, ``headers``, ``origin``: the opening handshake (section 4);
- ``frames``, ``masking``: the framing of data (section 5);
- ``messages``, ``utf8``: fragments, control frames between them, text (sections 5.4 to 5.6 and 8.1);
- ``extension_list``, ``extensions``, ``deflate``: extensions (section 9.1), compressed messages (RFC 7692);
- ``close``, ``close_codes``: close frames (sections 5.5.1 and 7.4);
- ``closing``: the closing handshake (section 7.1);
- ``endpoint``: one side of a connection, built from the modules above.
"""
