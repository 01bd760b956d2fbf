// The chat's page: who I am, what is on its way, and what the server says. See ../page_protocol.py for the messages.

import { Connection } from "./connection.js";
import * as view from "./view.js";

const REPLACED = 4000; // this page came in over another connection
const MOST_SHOWN = 1000;
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
let position = null; // of the last message that has come, to go on from after a lost connection
const room = document.body.dataset.room;
const early = []; // what has come before the welcome
const people = new Map(); // connection -> nick; a lost connection may be there for a while
const shown = new Map(); // key -> list item of each message that has come
const pending = new Map(); // key -> {text, item, timer, sent} of what I wrote and has not come back

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("");
}

// The connection ---------------------------------------------------------------------------------------------------

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const url = `${scheme}//${location.host}/chat/${encodeURIComponent(room)}`;
const connection = new Connection(url, "chat.json", [REPLACED]);

const join = () => connection.send({ type: "join", nick: wanted, session, since: position });

connection.addEventListener("connecting", () => view.showState("connecting", "Connecting…"));
connection.addEventListener("open", join);
connection.addEventListener("lost", () => {
  leave();
  const text = navigator.onLine ? "No connection. Trying again…" : "You are offline.";
  view.showState("lost", text, "Connect now");
});
connection.addEventListener("ended", () => {
  leave();
  view.showState("lost", "The chat goes on in another window", "Continue here");
});
connection.addEventListener("message", ({ detail }) => {
  if (joined || detail.type === "welcome" || detail.type === "error") handlers[detail.type]?.(detail);
  else early.push(detail);
});

function leave() {
  joined = false;
  early.length = 0;
  for (const { item, timer, sent } of pending.values()) {
    clearTimeout(timer);
    if (!sent) view.markWaiting(item);
  }
}

const handlers = {
  welcome(message) {
    connection.settled();
    const isBack = !joined;
    joined = true;
    nick = message.nick;
    remember("localStorage", "nick", nick);
    remember("sessionStorage", "joined", "yes");
    view.showState("open", "Connected");
    view.showProcess(message.process);
    if (!renaming) view.showChat();
    fitHeight();
    checkLength(); // what was said of a lost connection is over
    people.clear();
    Object.entries(message.people).forEach(([id, one]) => people.set(id, one));
    view.quietly(() => {
      if (!message.recovered) receiveAnew(message.history);
      position = message.position;
      early.splice(0).forEach((one) => handlers[one.type]?.(one));
    });
    view.showPeople(people.values(), nick);
    if (isBack) sendAgain();
    showRooms();
  },
  joined({ id, nick: who }) {
    const isNew = !isHere(who);
    people.set(id, who);
    view.showPeople(people.values(), nick);
    if (isNew) view.addNotice(`${who} joined`);
  },
  left({ id }) {
    const who = people.get(id);
    if (!people.delete(id) || isHere(who)) return;
    view.showPeople(people.values(), nick);
    view.addNotice(`${who} left`);
  },
  renamed({ id, nick: before, to, position: its }) {
    position = its;
    if (people.has(id)) people.set(id, to);
    view.showPeople(people.values(), nick);
    view.addNotice(`${before} is now ${to}`);
  },
  message(message) {
    if (receive(message) && document.hidden) view.showUnread(++unread);
  },
  sent({ key, time }) {
    const mine = pending.get(key);
    if (!mine) return; // it has come back already
    clearTimeout(mine.timer);
    mine.sent = true;
    view.markSent(mine.item, time);
  },
  error(message) {
    const failed = pending.get(message.key);
    if (failed) giveUp(message.key, failed, message.text);
    else if (message.code === "nick") chooseAnother(message.text);
    else view.addNotice(message.text);
  },
};

const isHere = (who) => [...people.values()].includes(who);

function chooseAnother(problem) {
  view.showEntrance(wanted, problem, joined);
  renaming = joined;
  if (joined) wanted = nick; // which a lost connection is to come back with
  else view.showState("nameless", "");
}

// Messages ---------------------------------------------------------------------------------------------------------

// Shows a message at the place that it has in the room. Returns false if it was there already.
function receive(message) {
  const { key } = message;
  position = message.position;
  if (shown.has(key)) return false;
  const mine = pending.get(key);
  if (mine) {
    clearTimeout(mine.timer);
    pending.delete(key);
    view.settle(mine.item, message.time);
  }
  shown.set(key, mine?.item ?? view.addMessage(message, message.nick === nick));
  if (shown.size > MOST_SHOWN) shown.delete(shown.keys().next().value);
  return true;
}

// The server cannot tell what I have missed, but has the latest messages. If one of them is here, none is missing.
function receiveAnew(history) {
  const isWhole = position === null || history.some(({ key }) => shown.has(key));
  if (!isWhole) view.addNotice("Some messages may be missing here");
  const firstNew = history.findIndex(({ key }) => !shown.has(key));
  if (firstNew < 0) return;
  for (const message of history.slice(firstNew)) {
    shown.get(message.key)?.remove(); // to be shown again, behind those that are new
    shown.delete(message.key);
    receive(message);
  }
}

function send(text) {
  const key = randomKey();
  pending.set(key, { text, item: view.addSending({ nick, text, time: Date.now() }) });
  transmit(key);
}

function transmit(key) {
  const mine = pending.get(key);
  view.markSending(mine.item);
  mine.timer = setTimeout(() => connection.replace(), ANSWER_WITHIN);
  connection.send({ type: "message", text: mine.text, key });
}

// A message may have arrived without our being told. So it keeps its key, under which it is published only once.
function sendAgain() {
  for (const [key, { item, sent }] of pending) {
    if (!sent) transmit(key);
    else {
      pending.delete(key); // it is in the room, but too far back to be sent to us
      view.settle(item);
    }
  }
}

function giveUp(key, { item, timer }, problem) {
  clearTimeout(timer);
  view.fail(item, problem, () => joined && transmit(key));
}

// Rooms ------------------------------------------------------------------------------------------------------------

async function showRooms() {
  try {
    const answer = await fetch("/rooms");
    if (answer.ok) view.showRooms(await answer.json(), room);
  } catch {
    // the list stays as it is
  }
}

function go(to) {
  location.assign(`/rooms/${encodeURIComponent(to)}`);
}

byId("open-room").addEventListener("submit", (event) => {
  event.preventDefault();
  const to = byId("other-room").value.trim();
  if (to) go(to);
});

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
  const to = byId("room").value.trim();
  if (to && to.toLowerCase() !== room) {
    remember("localStorage", "nick", wanted);
    remember("sessionStorage", "joined", "yes");
    go(to);
  } else if (connection.open) join();
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
  if (document.hidden) return;
  view.showUnread((unread = 0));
  showRooms();
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
showRooms();
