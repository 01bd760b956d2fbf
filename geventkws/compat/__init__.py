"""For applications that were written for another server of WebSockets on gevent.

``geventkws.compat.geventwebsocket`` has the names of gevent-websocket.
"""
