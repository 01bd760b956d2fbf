// What the page shows. Everything people typed goes in by textContent, never as markup.

const MOST_ITEMS = 500; // older ones leave the page
const TONES = 8; // colours of names, see chat.css
const GROUP_WITHIN = 5 * 60_000; // milliseconds

const { title } = document;
const byId = (id) => document.getElementById(id);
const messages = byId("messages");
const scroller = byId("scroller");

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function toneOf(nick) {
  let hash = 0;
  for (const character of nick) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return `tone-${hash % TONES}`;
}

function timeElement(milliseconds) {
  const when = new Date(milliseconds);
  const today = when.toDateString() === new Date().toDateString();
  const clock = { hour: "numeric", minute: "2-digit" };
  const time = element("time");
  time.dateTime = when.toISOString();
  time.title = when.toLocaleString();
  time.textContent = today ? when.toLocaleTimeString([], clock) : when.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  return time;
}

// Messages ---------------------------------------------------------------------------------------------------------

let following = true; // the newest message is in sight, and is to stay so

scroller.addEventListener("scroll", () => {
  following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
  if (following) byId("newest").hidden = true;
});
new ResizeObserver(() => following && scrollToEnd()).observe(scroller);

// What I wrote stays at the end while it is on its way; what comes meanwhile has its place before it.
function add(item) {
  byId("empty").hidden = true;
  const next = item.dataset.delivery ? null : messages.querySelector("[data-delivery]");
  const last = next ? next.previousElementSibling : messages.lastElementChild;
  const soon = item.dataset.time - last?.dataset.time < GROUP_WITHIN;
  item.classList.toggle("grouped", soon && last.dataset.nick === item.dataset.nick);
  messages.insertBefore(item, next);
  while (messages.childElementCount > MOST_ITEMS) messages.firstElementChild.remove();
  if (following) scrollToEnd();
  else byId("newest").hidden = false;
}

export function scrollToEnd() {
  following = true;
  scroller.scrollTop = scroller.scrollHeight;
  byId("newest").hidden = true;
}

function messageItem({ nick, text, time }, own) {
  const item = element("li", `message${own ? " own" : ""}`);
  item.dataset.nick = nick;
  item.dataset.time = time;
  item.append(element("span", `author ${toneOf(nick)}`, own ? "You" : nick));
  item.append(element("p", "body", text));
  const foot = element("span", "foot");
  foot.append(timeElement(time));
  item.append(foot);
  return item;
}

// Adds a message and returns its list item.
export function addMessage(message, own) {
  const item = messageItem(message, own);
  add(item);
  return item;
}

// Adds a message of mine that is to be sent, and returns its list item, for the functions below.
export function addSending(message) {
  const item = messageItem(message, true);
  item.dataset.delivery = "sending";
  add(item);
  scrollToEnd();
  return item;
}

export function addNotice(text) {
  add(element("li", "notice", text));
}

// Runs `addAll` without a screen reader reading out all that it adds.
export function quietly(addAll) {
  messages.ariaLive = "off";
  addAll();
  setTimeout(() => (messages.ariaLive = "polite"), 1000);
}

function mark(item, delivery, ...foot) {
  item.dataset.delivery = delivery;
  item.querySelector(".foot").replaceChildren(...foot);
}

export function markSending(item) {
  mark(item, "sending", element("span", "", "Sending…"));
}

export function markWaiting(item) {
  mark(item, "waiting", element("span", "", "Not sent yet"));
}

// The server has it.
export function markSent(item, time) {
  mark(item, "sent", timeElement(time), element("span", "", " · Sent"));
}

// It has its place among the others.
export function settle(item, time) {
  if (time) markSent(item, time);
  const isFirst = messages.querySelector("[data-delivery]") === item;
  delete item.dataset.delivery;
  if (isFirst) return;
  item.remove();
  add(item);
}

export function fail(item, problem, again) {
  const button = element("button", "quiet", "Send again");
  button.type = "button";
  button.addEventListener("click", again);
  mark(item, "failed", element("span", "", `${problem} `), button);
}

// People -----------------------------------------------------------------------------------------------------------

export function showPeople(nicks, own) {
  const sorted = [...new Set(nicks)].sort((a, b) => (b === own) - (a === own) || a.localeCompare(b));
  byId("people").replaceChildren(
    ...sorted.map((nick) => {
      const item = element("li");
      const initial = element("span", `initial ${toneOf(nick)}`, [...nick][0].toUpperCase());
      initial.ariaHidden = "true";
      item.append(initial, element("span", "name", nick));
      if (nick === own) item.append(element("span", "you", "you"));
      return item;
    }),
  );
  byId("people-count").textContent = sorted.length;
}

export function togglePeople(open) {
  byId("people-panel").classList.toggle("open", open);
  byId("people-toggle").ariaExpanded = String(open);
}

export function showRooms(rooms, own) {
  const names = Object.keys({ lobby: 0, ...rooms, [own]: 0 }).sort((a, b) => a.localeCompare(b));
  byId("rooms").replaceChildren(
    ...names.map((name) => {
      const item = element("li");
      const link = element("a", "name", name);
      link.href = `/rooms/${encodeURIComponent(name)}`;
      if (name === own) link.ariaCurrent = "page";
      item.append(link, element("span", "count", rooms[name] ?? ""));
      return item;
    }),
  );
  byId("open-rooms").replaceChildren(...names.map((name) => new Option(name)));
}

// The state of things ----------------------------------------------------------------------------------------------

export function showState(state, text, retry = "") {
  byId("state").dataset.state = state;
  byId("state-text").textContent = text;
  byId("retry").hidden = !retry;
  byId("retry").textContent = retry;
  byId("send").ariaDisabled = String(state !== "open");
  byId("entrance-state").textContent = state === "open" ? "" : text;
}

// Which of the server's processes we are connected to, for those who try what happens when it is killed.
export function showProcess(number) {
  byId("state").title = `to process ${number}`;
}

export function showEntrance(nick, problem = "", renaming = false) {
  byId("entrance").hidden = false;
  byId("entrance-title").textContent = renaming ? "Change your name" : "Chat";
  byId("room-choice").hidden = renaming;
  byId("enter").textContent = renaming ? "Change name" : "Join";
  byId("back").hidden = !renaming;
  byId("chat").hidden = true;
  const input = byId("nick");
  input.value = nick;
  showNickProblem(problem);
  input.focus();
  input.select();
}

export function showNickProblem(problem) {
  byId("nick-problem").textContent = problem;
  byId("nick").ariaInvalid = String(Boolean(problem));
}

export function showChat() {
  if (!byId("chat").hidden) return;
  byId("entrance").hidden = true;
  byId("chat").hidden = false;
  scrollToEnd();
  byId("text").focus();
}

export function showUnread(count) {
  document.title = count ? `(${count}) ${title}` : title;
}
