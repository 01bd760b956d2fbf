// Two clients of npm's socket.io-client, which try everything that the application offers.
// `PORT OTHER [apart]`: the ports of one server, or of two. `apart`: the server has two workers; one is
// stopped while the second client connects, so that this one gets to the other.
import assert from "node:assert/strict";
import { kill } from "node:process";
import { io } from "socket.io-client";

const PATIENCE = 20_000;
const RETRY = 100;
const TRANSPORTS = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

class Client {
  constructor(port, transports) {
    this.events = [];
    this.waiting = [];
    this.socket = io(`http://127.0.0.1:${port}`, {
      transports,
      forceNew: true,
      reconnection: false,
      timeout: PATIENCE,
      ackTimeout: PATIENCE,
    });
    this.socket.on("disconnect", (reason) => this.#arrived("disconnect", [reason]));
    this.socket.on("connect_error", (error) => this.#arrived("connect_error", [error.message]));
    this.socket.onAny((name, ...values) => this.#arrived(name, values));
    this.upgraded = new Promise((resolve) => this.socket.io.engine.once("upgrade", resolve));
  }

  #arrived(name, values) {
    this.events.push({ name, values });
    this.waiting.forEach((look) => look());
  }

  // Returns the values of the next event of this name.
  expect(name) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${name}: ${JSON.stringify(this.events)}`)), PATIENCE);
      const look = () => {
        const place = this.events.findIndex((event) => event.name === name);
        if (place < 0) return;
        clearTimeout(timer);
        this.waiting = this.waiting.filter((other) => other !== look);
        resolve(this.events.splice(place, 1)[0].values);
      };
      this.waiting.push(look);
      look();
    });
  }

  call(name, ...values) {
    return this.socket.emitWithAck(name, ...values);
  }

  // Waits until events of other processes arrive: those from before its own has subscribed are lost.
  async reached() {
    const hear = () => this.socket.emit("hear");
    const asking = setInterval(hear, RETRY);
    hear();
    await this.expect("heard").finally(() => clearInterval(asking));
  }

  close() {
    this.socket.disconnect();
  }
}

async function pair(port, other, transports, apart) {
  const ann = new Client(port, transports);
  const [annId] = await ann.expect("welcome");
  const worker = await ann.call("worker");
  if (apart) kill(worker, "SIGSTOP");
  const bob = new Client(other, transports);
  let bobId;
  try {
    [bobId] = await bob.expect("welcome");
  } finally {
    if (apart) kill(worker, "SIGCONT");
  }
  if (apart) assert.notEqual(await bob.call("worker"), worker);
  await Promise.all([ann.reached(), bob.reached()]);
  assert.notEqual(annId, bobId);
  return [ann, bob, bobId];
}

async function roomsReachBoth(ann, bob) {
  for (const client of [ann, bob]) assert.equal(await client.call("join", "room"), "joined");
  const text = "x".repeat(100_000);
  bob.socket.emit("tell", "room", text);
  for (const client of [ann, bob]) assert.deepEqual(await client.expect("told"), [text]);
}

async function binaryBothWays(client) {
  client.socket.emit("reverse", { data: Buffer.from([0, 1, 2]) });
  const [{ data }] = await client.expect("reversed");
  assert.deepEqual([...new Uint8Array(data)], [2, 1, 0]);
  assert.deepEqual([...(await client.call("backwards", Buffer.from([3, 4])))], [4, 3]);
}

async function theServerAsks(client) {
  client.socket.on("question", (text, answer) => answer(`${text} Yes.`));
  assert.equal(await client.call("ask", "Is it?"), "Is it? Yes.");
}

// Over the connection that there is: python-engineio takes a client that goes in the middle of an upgrade for a
// failure, and a connection of its own ends when its namespace is refused.
async function otherNamespaces(client) {
  const other = client.socket.io.socket("/other", { ackTimeout: PATIENCE });
  assert.equal(await other.emitWithAck("echo", "text"), "other text");
  other.disconnect();
  const unknown = client.socket.io.socket("/unknown");
  await new Promise((resolve) => unknown.once("connect_error", resolve));
}

async function doEverything(name, port, other, apart) {
  const transports = TRANSPORTS[name];
  const [ann, bob, bobId] = await pair(port, other, transports, apart);
  if (name === "upgrade") await Promise.all([ann.upgraded, bob.upgraded]);
  assert.equal(ann.socket.io.engine.transport.name, name === "polling" ? "polling" : "websocket");
  assert.equal(await ann.call("add", 1, 2), 3);
  await binaryBothWays(ann);
  await theServerAsks(ann);
  await roomsReachBoth(ann, bob);
  await otherNamespaces(ann);
  bob.close();
  let left;
  do [left] = await ann.expect("left");
  while (left[0] !== bobId); // but that of a client from before
  // python-socketio does not wait until it has handled the first before it notices the second.
  assert.ok(["client disconnect", "transport close"].includes(left[1]), left[1]);
  ann.socket.emit("go");
  assert.deepEqual(await ann.expect("disconnect"), ["io server disconnect"]);
  ann.close();
}

const [port, other, apart] = process.argv.slice(2);
for (const name of apart ? ["websocket"] : Object.keys(TRANSPORTS)) {
  await doEverything(name, port, other, apart === "apart");
}
console.log("everything works");
process.exit(0);
