// Runs the checks on one of npm's clients: `node run.js <ws or websocket> <address of the server>`.
"use strict";

const {CHECKS, Peer, runChecks} = require("../browser/checks.js");

// The `websocket` package's client, with the interface of the browsers' WebSocket. (The package has such a class
// of its own, but that takes an empty text for binary, and every close except 1000 for unclean.)
class EventedWebSocket {
  constructor(url, protocols) {
    this.extensions = "";
    const client = new (require("websocket").client)();
    client.on("connect", (connection) => this.connected(connection));
    client.on("connectFailed", (error) => {
      this.onerror(error);
      this.onclose({code: 1006, reason: "", wasClean: false});
    });
    client.connect(url, protocols);
  }

  connected(connection) {
    this.connection = connection;
    this.protocol = connection.protocol;
    this.extensions = connection.extensions.join();
    connection.on("error", (error) => this.onerror(error));
    connection.on("close", (code, reason) => this.onclose({code, reason, wasClean: code !== 1006}));
    connection.on("message", ({type, utf8Data, binaryData}) => {
      this.onmessage({data: type === "utf8" ? utf8Data : new Uint8Array(binaryData).buffer});
    });
    this.onopen();
  }

  send(data) {
    if (typeof data === "string") this.connection.sendUTF(data);
    else if (data instanceof ArrayBuffer) this.connection.sendBytes(Buffer.from(data));
    else this.connection.sendBytes(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }

  close(code, reason) { this.connection.close(code, reason); }
}

const CLIENTS = {
  websocket: {find: () => EventedWebSocket, cannot: ["compression", "a_close_without_a_code_is_1005_for_the_server"]},
  ws: {find: () => require("ws").WebSocket, cannot: []},
};

const [name, address] = process.argv.slice(2);
const WebSocketClass = CLIENTS[name].find();
const checks = Object.fromEntries(Object.entries(CHECKS).filter(([check]) => !CLIENTS[name].cannot.includes(check)));

runChecks((path, protocols = []) => new Peer(WebSocketClass, address + path, protocols), checks).then((results) => {
  process.stdout.write(JSON.stringify(results), () => process.exit());
});
