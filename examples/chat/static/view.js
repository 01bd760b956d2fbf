// What the page shows. Everything people typed goes in by textContent, never as markup.

const MOST_ITEMS = 500; // older ones leave the page
const TONES = 8; // colours of names, see chat.css
const GROUP_WITHIN = 5 * 60_000; // milliseconds

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

function add(item) {
  byId("empty").hidden = true;
  messages.append(item);
  while (messages.childElementCount > MOST_ITEMS) messages.firstElementChild.remove();
  if (following) scrollToEnd();
  else byId("newest").hidden = false;
}

export function scrollToEnd() {
  following = true;
  scroller.scrollTop = scroller.scrollHeight;
  byId("newest").hidden = true;
}

// Adds a message and returns its list item, for `settle` and `fail`.
export function addMessage({ nick, text, time }, own) {
  const last = messages.lastElementChild;
  const grouped = last?.dataset.nick === nick && time - Number(last.dataset.time) < GROUP_WITHIN;
  const item = element("li", `message${own ? " own" : ""}${grouped ? " grouped" : ""}`);
  item.dataset.nick = nick;
  item.dataset.time = time;
  item.append(element("span", `author ${toneOf(nick)}`, own ? "You" : nick));
  item.append(element("p", "body", text));
  const foot = element("span", "foot");
  foot.append(timeElement(time));
  item.append(foot);
  add(item);
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

export function markSending(item) {
  item.dataset.delivery = "sending";
  item.querySelector(".foot").replaceChildren(element("span", "", "Sending…"));
}

export function settle(item, time) {
  delete item.dataset.delivery;
  item.querySelector(".foot").replaceChildren(timeElement(time));
}

export function fail(item, problem, again) {
  item.dataset.delivery = "failed";
  const button = element("button", "quiet", "Send again");
  button.type = "button";
  button.addEventListener("click", again);
  item.querySelector(".foot").replaceChildren(element("span", "", `${problem} `), button);
}

// People -----------------------------------------------------------------------------------------------------------

export function showPeople(nicks, own) {
  const sorted = [...nicks].sort((a, b) => (b === own) - (a === own) || a.localeCompare(b));
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
  byId("people-count").textContent = nicks.size;
}

export function togglePeople(open) {
  byId("people-panel").classList.toggle("open", open);
  byId("people-toggle").ariaExpanded = String(open);
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

export function showEntrance(nick, problem = "", renaming = false) {
  byId("entrance").hidden = false;
  byId("entrance-title").textContent = renaming ? "Change your name" : "Chat";
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
  document.title = count ? `(${count}) Chat` : "Chat";
}
