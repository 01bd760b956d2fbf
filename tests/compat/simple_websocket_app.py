"""A WSGI application with simple-websocket."""

import simple_websocket


def app(environ, start_response):
    if environ["PATH_INFO"] == "/":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"page"]
    interval = 0.05 if environ["PATH_INFO"] == "/pings" else None
    ws = simple_websocket.Server.accept(environ, ping_interval=interval)
    try:
        while True:
            ws.send(ws.receive())
    except simple_websocket.ConnectionClosed as closed:
        print("closed with", int(closed.reason), closed.message, flush=True)
    return []
