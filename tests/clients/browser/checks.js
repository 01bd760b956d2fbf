// The checks for every JavaScript client, in a browser or in Node, with any class that has the browsers'
// WebSocket interface. Each check is a promise, which is fulfilled, or rejected with what was wrong.
"use strict";

const PATIENCE = 20000;  // milliseconds to wait for what must happen
const MEBI = 1024 * 1024;
const EMOJI = "Grüße 👩‍👩‍👧‍👦 𝄞 \u{10FFFF} \u{FFFD} \u0000 end";

function assertEqual(found, expected, what) {
  const [a, b] = [found, expected].map((value) => JSON.stringify(value));
  if (a !== b) throw new Error(`${what} is ${a.slice(0, 300)}, not ${b.slice(0, 300)}`);
}

function assert(condition, what) {
  if (!condition) throw new Error(what);
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function within(promise, what) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`there was no ${what} in time`)), PATIENCE);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

// A connection whose events are awaited instead of calling back.
class Peer {
  constructor(WebSocketClass, url, protocols, binaryType = "arraybuffer") {
    this.messages = [];
    this.waiting = [];
    this.socket = new WebSocketClass(url, protocols);
    this.socket.binaryType = binaryType;
    this.closed = new Promise((resolve) => { this.socket.onclose = resolve; });
    this.opened = new Promise((resolve, reject) => {
      this.socket.onopen = resolve;
      this.closed.then((event) => reject(new Error(`closed with ${event.code} instead of opened`)));
    });
    this.opened.catch(() => {});  // not awaited by those who expect a refusal
    this.socket.onerror = () => { this.failed = true; };
    this.socket.onmessage = (event) => {
      if (this.waiting.length) this.waiting.shift()(event.data);
      else this.messages.push(event.data);
    };
  }

  async open() {
    await within(this.opened, "open event");
    return this;
  }

  send(data) { this.socket.send(data); }

  command(...command) { this.send(JSON.stringify(command)); }

  receive() {
    if (this.messages.length) return Promise.resolve(this.messages.shift());
    const message = new Promise((resolve) => this.waiting.push(resolve));
    const end = this.closed.then((event) => { throw new Error(`closed with ${event.code}, not a message`); });
    return within(Promise.race([message, end]), "message");
  }

  close(...codeAndReason) {
    this.socket.close(...codeAndReason);
    return within(this.closed, "close event");
  }
}

function someBytes(size) {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) bytes[index] = (index * 31 + (index >> 8)) & 0xff;
  return bytes;
}

function assertSameBytes(buffer, expected) {
  assert(buffer instanceof ArrayBuffer, `the message is a ${Object.prototype.toString.call(buffer)}`);
  const found = new Uint8Array(buffer);
  assertEqual(found.length, expected.length, "the length");
  const wrong = expected.findIndex((byte, index) => found[index] !== byte);
  assert(wrong === -1, `byte ${wrong} is wrong`);
}

// `connect(path, protocols, binaryType)` makes a Peer; each check has the name of its test.
const CHECKS = {
  async text(connect) {
    const peer = await connect("/echo").open();
    peer.send("Hello");
    assertEqual(await peer.receive(), "Hello", "the message");
    await peer.close();
  },

  async emoji_and_the_planes_beyond_the_first(connect) {
    const peer = await connect("/echo").open();
    peer.send(EMOJI);
    assertEqual(await peer.receive(), EMOJI, "the message");
    await peer.close();
  },

  async binary(connect) {
    const peer = await connect("/echo").open();
    const bytes = someBytes(70000);
    peer.send(bytes.buffer);
    assertSameBytes(await peer.receive(), bytes);
    peer.send(bytes.subarray(100, 200));
    assertSameBytes(await peer.receive(), bytes.slice(100, 200));
    await peer.close();
  },

  async empty_messages(connect) {
    const peer = await connect("/echo").open();
    peer.send("");
    peer.send(new ArrayBuffer(0));
    peer.send("");
    assertEqual(await peer.receive(), "", "the first message");
    assertSameBytes(await peer.receive(), new Uint8Array(0));
    assertEqual(await peer.receive(), "", "the third message");
    await peer.close();
  },

  async a_mebibyte_of_text_both_ways(connect) {
    const peer = await connect("/echo").open();
    const text = "wörd".repeat(MEBI / 5) + ".";  // its UTF-8 is exactly as long as the service allows
    peer.send(text);
    assert(await peer.receive() === text, "another text came back");
    await peer.close();
  },

  async a_mebibyte_of_bytes_both_ways(connect) {
    const peer = await connect("/echo").open();
    const bytes = someBytes(MEBI);
    peer.send(bytes);
    assertSameBytes(await peer.receive(), bytes);
    await peer.close();
  },

  async a_message_too_large_closes_with_1009(connect) {
    const peer = await connect("/echo").open();
    peer.send(new Uint8Array(MEBI + 1));
    assertEqual((await within(peer.closed, "close event")).code, 1009, "the code");
  },

  async a_thousand_messages_in_order(connect) {
    const peer = await connect("/echo").open();
    for (let number = 0; number < 1000; number++) peer.send(`message ${number}`);
    for (let number = 0; number < 1000; number++) {
      assertEqual(await peer.receive(), `message ${number}`, "the next message");
    }
    await peer.close();
  },

  async a_thousand_messages_of_the_server_in_order(connect) {
    const peer = await connect("/commands").open();
    peer.command("count", 1000);
    for (let number = 0; number < 1000; number++) {
      assertEqual(await peer.receive(), String(number), "the next message");
    }
    await peer.close();
  },

  async the_subprotocol_that_both_speak(connect) {
    const peer = await connect("/echo", ["soap", "chat"]).open();
    assertEqual(peer.socket.protocol, "chat", "the subprotocol");
    await peer.close();
  },

  async no_subprotocol_unless_asked_for(connect) {
    const peer = await connect("/echo").open();
    assert(!peer.socket.protocol, `the subprotocol is ${peer.socket.protocol}`);
    await peer.close();
  },

  async compression(connect) {
    const peer = await connect("/compressed").open();
    assert(/^permessage-deflate\b/.test(peer.socket.extensions), `the extensions: "${peer.socket.extensions}"`);
    const json = JSON.stringify(Array.from({length: 1000}, (_, id) => ({id, name: `Grüße ${id}`})));
    for (const message of [json, "", json, "short", EMOJI]) {
      peer.send(message);
      assert(await peer.receive() === message, "another text came back");
    }
    peer.send(someBytes(100000));
    assertSameBytes(await peer.receive(), someBytes(100000));
    await peer.close();
  },

  async no_compression_unless_the_service_wants_it(connect) {
    const peer = await connect("/echo").open();
    assert(!peer.socket.extensions, `the extensions are ${peer.socket.extensions}`);
    await peer.close();
  },

  async its_close_code_and_reason_reach_the_server(connect, ending) {
    const name = `own-close-${Math.random()}`;
    const peer = await connect(`/presence/${name}`).open();
    const event = await peer.close(4321, "Auf Wiederhören 👋");
    assertEqual([event.code, event.wasClean], [4321, true], "the own close event");
    assertEqual(await ending(name), [4321, "Auf Wiederhören 👋"], "the ending seen by the server");
  },

  async a_close_without_a_code_is_1005_for_the_server(connect, ending) {
    const name = `empty-close-${Math.random()}`;
    const peer = await connect(`/presence/${name}`).open();
    await peer.close();
    assertEqual(await ending(name), [1005, ""], "the ending seen by the server");
  },

  async the_servers_close_code_and_reason_reach_it(connect) {
    const peer = await connect("/commands").open();
    peer.command("close", 4999, "Genug für heute 👋");
    const {code, reason, wasClean} = await within(peer.closed, "close event");
    assertEqual([code, reason, wasClean], [4999, "Genug für heute 👋", true], "the close event");
  },

  async the_servers_normal_close_reaches_it(connect) {
    const peer = await connect("/commands").open();
    peer.command("close");
    const {code, wasClean} = await within(peer.closed, "close event");
    assertEqual([code, wasClean], [1000, true], "the close event");
  },

  async a_drop_tells_its_code_and_reason(connect) {
    const peer = await connect("/commands").open();
    peer.command("drop", 1008, "Out!");
    const {code, reason} = await within(peer.closed, "close event");
    assertEqual([code, reason], [1008, "Out!"], "the close event");
  },

  async a_lost_server_is_seen_as_1006(connect) {
    const peer = await connect("/commands").open();
    peer.command("vanish");
    const {code, wasClean} = await within(peer.closed, "close event");
    assertEqual([code, wasClean], [1006, false], "the close event");
  },

  async a_refused_upgrade_fails(connect) {
    for (const path of ["/refused", "/nobody/is/here"]) {
      const peer = connect(path);
      let opened = false;
      peer.opened.then(() => { opened = true; }, () => {});
      const {code} = await within(peer.closed, "close event");
      assertEqual([code, opened, peer.failed], [1006, false, true], `code, opened and error of ${path}`);
    }
  },

  async its_pongs_keep_an_idle_connection(connect) {
    const peer = await connect("/idle").open();
    await pause(3000);  // the service drops clients that are silent for 1.5 seconds
    peer.send("");
    const [messages, bytes] = JSON.parse(await peer.receive());
    assertEqual(messages, 1, "the number of messages");
    assert(bytes > 6 + 6, `the server received just ${bytes} bytes, in which there is no pong`);
    await peer.close();
  },
};

// Runs `checks`, the slow one beside the others, and returns what was wrong with each ("" if nothing was).
async function runChecks(connect, checks) {
  async function ending(name) {
    const peer = await connect("/commands").open();
    peer.command("ending", name);
    const found = JSON.parse(await peer.receive());
    await peer.close();
    return found;
  }
  const results = {};
  async function run(name) {
    try {
      await checks[name](connect, ending);
      results[name] = "";
    } catch (error) {
      results[name] = `${error && error.message || error}`;
    }
  }
  const slow = run("its_pongs_keep_an_idle_connection");
  for (const name of Object.keys(checks)) {
    if (name !== "its_pongs_keep_an_idle_connection") await run(name);
  }
  await slow;
  return results;
}

if (typeof module !== "undefined") module.exports = {CHECKS, Peer, runChecks};
