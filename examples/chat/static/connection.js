// A WebSocket that comes back: after a loss it tries again, each time later and never in step with others.

const FIRST_DELAY = 500; // milliseconds
const LONGEST_DELAY = 30_000;
const OPENING_TIMEOUT = 10_000;

export class Connection extends EventTarget {
  #url;
  #subprotocol;
  #final;
  #socket = null;
  #failures = 0;
  #timer = 0;

  // `final` holds the close codes after which there is no use in trying again.
  constructor(url, subprotocol, final) {
    super();
    this.#url = url;
    this.#subprotocol = subprotocol;
    this.#final = final;
    // A network that returns, or a person who does, need not wait for the timer.
    window.addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#hurry());
    // A browser may keep the page when the person leaves it, and show it again when they come back.
    window.addEventListener("pagehide", () => this.replace());
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  // Connects, at once; does nothing where a connection exists or is on its way.
  connect() {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#tell("connecting");
    const socket = (this.#socket = new WebSocket(this.#url, this.#subprotocol));
    const opening = setTimeout(() => this.#abandon(socket), OPENING_TIMEOUT);
    socket.addEventListener("open", () => {
      clearTimeout(opening);
      this.#tell("open");
    });
    socket.addEventListener("message", (event) => {
      if (socket === this.#socket) this.#tell("message", JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => {
      clearTimeout(opening);
      if (socket === this.#socket) this.#lost(event.code);
    });
  }

  // The server has let us in: the next loss begins with a short delay again.
  settled() {
    this.#failures = 0;
  }

  send(message) {
    if (this.open) this.#socket.send(JSON.stringify(message));
  }

  // Gives up a connection that no longer answers; its close event may be minutes away.
  replace() {
    if (this.#socket) this.#abandon(this.#socket);
  }

  #abandon(socket) {
    socket.close();
    if (socket === this.#socket) this.#lost(1006);
  }

  #lost(code) {
    this.#socket = null;
    if (this.#final.includes(code)) {
      this.#tell("ended");
      return;
    }
    const ceiling = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++);
    const delay = ceiling / 2 + (Math.random() * ceiling) / 2;
    this.#timer = setTimeout(() => this.connect(), delay);
    this.#tell("lost");
  }

  #hurry() {
    if (this.#timer) this.connect();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
