// The room: what people say, and who is here.

import { answerTo } from "./asking.js";
import { place, timeOf } from "./ordered.js";

const cameAndWent = document.getElementById("came-and-went");
const empty = document.getElementById("no-messages");
const form = document.getElementById("say");
const messages = document.getElementById("messages");
const people = document.getElementById("people");
const problem = document.getElementById("text-problem");
const scroller = document.getElementById("scroller");

export class Room {
  #user;
  #clients = new Map(); // the names of those who are here, by client: somebody may have several pages open
  #changes = []; // who has come and gone since it was asked who is here

  constructor(subscription, user) {
    this.#user = user;
    subscription.on("subscribed", async () => {
      this.#changes = [];
      const present = await answerTo(subscription, () => subscription.presence());
      if (!present) return;
      this.#clients = new Map(Object.entries(present.clients));
      for (const change of this.#changes) change();
      this.#showPeople();
    });
    subscription.on("join", ({ info }) => {
      this.#tell(info, "is here");
      this.#change(() => this.#clients.set(info.client, info));
    });
    subscription.on("leave", ({ info }) => {
      this.#change(() => this.#clients.delete(info.client));
      this.#tell(info, "has left");
    });
    form.addEventListener("submit", say);
    form.addEventListener("input", () => {
      key = newKey(); // another text is another message
    });
  }

  clear() {
    messages.replaceChildren();
    empty.hidden = false;
  }

  add(offset, said) {
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 40;
    place(messages, offset, () => message(said, said.user === this.#user));
    empty.hidden = true;
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  }

  #change(change) {
    this.#changes.push(change);
    change();
    this.#showPeople();
  }

  // Somebody who has another page open has neither come nor gone.
  #tell({ user, connInfo }, what) {
    const isElsewhere = [...this.#clients.values()].some((one) => one.user === user);
    if (user !== this.#user && !isElsewhere) cameAndWent.textContent = `${connInfo.name} ${what}`;
  }

  #showPeople() {
    const names = new Map([...this.#clients.values()].map(({ user, connInfo }) => [user, connInfo.name]));
    const own = names.delete(this.#user) ? ["You"] : [];
    const others = [...names.values()].sort((one, other) => one.localeCompare(other));
    people.replaceChildren(...[...own, ...others].map((name) => element("li", "person", name)));
  }
}

let key = newKey();

// The key stays the same until the message has been taken, so that trying again never says it twice.
async function say(event) {
  event.preventDefault();
  const body = new FormData(form);
  body.set("key", key);
  problem.textContent = "";
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  if (answer?.ok) {
    key = newKey();
    if (form.text.value === body.get("text")) form.reset();
  } else {
    const isRefused = answer && answer.status < 500;
    problem.textContent = isRefused ? await answer.text() : "Not sent: there is no connection. Please try again.";
    problem.scrollIntoView({ block: "nearest" });
  }
}

function newKey() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

function message(said, isOwn) {
  const item = element("li", isOwn ? "message own" : "message");
  const head = element("p", "muted");
  head.append(element("span", "author", isOwn ? "You" : said.name), " ", element("time", "", timeOf(said.time, "short")));
  item.append(head, element("p", "body", said.text));
  return item;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
