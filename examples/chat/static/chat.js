// The chat's page: who I am, what is on its way, and what the server says. See ../page_protocol.py for the messages.

import { Connection } from "./connection.js";
import * as view from "./view.js";

const REPLACED = 4000; // this page came in over another connection
const MOST_SEEN = 1000;
const ANSWER_WITHIN = 10_000; // milliseconds; a server that takes longer to confirm a message is lost

const byId = (id) => document.getElementById(id);
const input = byId("text");
const limit = Number(input.dataset.limit);

// Storage may be forbidden; the chat then works, and forgets.
const remembered = (storage, name) => {
  try {
    return window[storage].getItem(`chat.${name}`) ?? "";
  } catch {
    return "";
  }
};
const remember = (storage, name, value) => {
  try {
    window[storage].setItem(`chat.${name}`, value);
  } catch {
    // forgotten
  }
};

const session = remembered("sessionStorage", "session") || randomKey();
remember("sessionStorage", "session", session);

let wanted = ""; // the name I asked for
let nick = ""; // the name I have; "" before the server has let me in
let joined = false; // by this connection
let renaming = false; // I am writing another name
let unread = 0;
const people = new Set();
const seen = new Set(); // what is on the page, by key, or by time, nick and text
const pending = new Map(); // key -> {text, item, timer} of what the server has not confirmed (yet, or never)

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("");
}

// The connection ---------------------------------------------------------------------------------------------------

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(`${scheme}//${location.host}/chat`, "chat.json", [REPLACED]);

connection.addEventListener("connecting", () => view.showState("connecting", "Connecting…"));
connection.addEventListener("open", () => connection.send({ type: "join", nick: wanted, session }));
connection.addEventListener("lost", () => {
  leave();
  const text = navigator.onLine ? "No connection. Trying again…" : "You are offline.";
  view.showState("lost", text, "Connect now");
});
connection.addEventListener("ended", () => {
  leave();
  view.showState("lost", "The chat goes on in another window", "Continue here");
});
connection.addEventListener("message", ({ detail }) => handlers[detail.type]?.(detail));

function leave() {
  joined = false;
  for (const [key, message] of pending) giveUp(key, message, "Not sent.");
}

const handlers = {
  welcome(message) {
    connection.settled();
    joined = true;
    nick = message.nick;
    remember("localStorage", "nick", nick);
    remember("sessionStorage", "joined", "yes");
    people.clear();
    message.people.forEach((one) => people.add(one));
    view.showState("open", "Connected");
    if (!renaming) view.showChat();
    fitHeight();
    checkLength(); // what was said of a lost connection is over
    view.quietly(() => message.history.forEach(receive));
    view.showPeople(people, nick);
  },
  joined(message) {
    people.add(message.nick);
    view.showPeople(people, nick);
    view.addNotice(`${message.nick} joined`);
  },
  left(message) {
    people.delete(message.nick);
    view.showPeople(people, nick);
    view.addNotice(`${message.nick} left`);
  },
  renamed(message) {
    people.delete(message.nick);
    people.add(message.to);
    view.showPeople(people, nick);
    view.addNotice(`${message.nick} is now ${message.to}`);
  },
  message(message) {
    receive(message);
    if (document.hidden) view.showUnread(++unread);
  },
  error(message) {
    const failed = pending.get(message.key);
    if (failed) giveUp(message.key, failed, message.text);
    else if (message.code === "nick") chooseAnother(message.text);
    else view.addNotice(message.text);
  },
};

function chooseAnother(problem) {
  view.showEntrance(wanted, problem, joined);
  renaming = joined;
  if (joined) wanted = nick; // which a lost connection is to come back with
  else view.showState("nameless", "");
}

// Messages ---------------------------------------------------------------------------------------------------------

function receive(message) {
  const mark = message.key ?? `${message.time} ${message.nick} ${message.text}`;
  const sent = pending.get(message.key);
  if (sent) {
    clearTimeout(sent.timer);
    pending.delete(message.key);
    view.settle(sent.item, message.time);
  } else if (!seen.has(mark)) {
    view.addMessage(message, message.nick === nick);
  }
  seen.add(mark);
  if (seen.size > MOST_SEEN) seen.delete(seen.values().next().value);
}

function send(text) {
  const item = view.addMessage({ nick, text, time: Date.now() }, true);
  view.scrollToEnd();
  transmit(randomKey(), text, item);
}

function transmit(key, text, item) {
  view.markSending(item);
  const timer = setTimeout(() => connection.replace(), ANSWER_WITHIN);
  pending.set(key, { text, item, timer });
  connection.send({ type: "message", text, key });
}

// The message stays pending: after a lost connection the history may tell that it did arrive. For the same reason it
// is sent again under its old key, by which a page that has it already knows it.
function giveUp(key, { text, item, timer }, problem) {
  clearTimeout(timer);
  view.fail(item, problem, () => joined && transmit(key, text, item));
}

// What the person does ---------------------------------------------------------------------------------------------

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  wanted = byId("nick").value.trim();
  if (!wanted) {
    view.showNickProblem("Please choose a name.");
    return;
  }
  view.showNickProblem("");
  renaming = false;
  if (connection.open) connection.send({ type: "join", nick: wanted, session });
  else connection.connect();
});

byId("rename").addEventListener("click", () => {
  renaming = true;
  view.togglePeople(false);
  view.showEntrance(nick, "", renaming);
});
byId("back").addEventListener("click", backToChat);
byId("retry").addEventListener("click", () => connection.connect());
byId("newest").addEventListener("click", view.scrollToEnd);

byId("people-toggle").addEventListener("click", (event) => {
  view.togglePeople(event.currentTarget.ariaExpanded !== "true");
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  view.togglePeople(false);
  if (joined || renaming) backToChat();
});

function backToChat() {
  renaming = false;
  view.showChat();
}

function checkLength() {
  const over = [...input.value.trim()].length - limit;
  const near = over > -Math.min(200, limit / 10);
  const text = over > 0 ? `${over} characters too long (at most ${limit})` : `${-over} characters left`;
  byId("text-problem").textContent = near ? text : "";
  byId("text-problem").classList.toggle("over", over > 0);
  input.ariaInvalid = String(over > 0);
  return over <= 0;
}

function fitHeight() {
  const borders = input.offsetHeight - input.clientHeight;
  input.style.height = "auto";
  if (input.scrollHeight) input.style.height = `${input.scrollHeight + borders}px`; // 0 while it is hidden
}

function draftChanged() {
  remember("sessionStorage", "draft", input.value);
  checkLength();
  fitHeight();
}

input.addEventListener("input", draftChanged);
input.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId("composer").requestSubmit();
  }
});

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = input.value.trim();
  input.focus();
  if (!text || !checkLength()) return;
  if (!joined) {
    byId("text-problem").textContent = "Not connected. Your message stays here until it can be sent.";
    return;
  }
  send(text);
  input.value = "";
  draftChanged();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) view.showUnread((unread = 0));
});

input.value = remembered("sessionStorage", "draft");
wanted = remembered("localStorage", "nick");
if (wanted && remembered("sessionStorage", "joined")) {
  view.showChat(); // a reload: straight back in
  connection.connect();
} else {
  view.showEntrance(wanted);
}
draftChanged();
