// Says whether the page is up to date, and what to do if it cannot be.

const element = document.getElementById("state");
const text = document.getElementById("state-text");
const UNAUTHORIZED = 101;

export function showState(client, subscriptions) {
  let process = "";
  let wasOnline = false;

  function update() {
    if (client.state === "disconnected") return;
    if (client.state === "connecting") {
      show("connecting", wasOnline ? "No connection. Trying again…" : "Connecting…");
    } else if (subscriptions.some(({ state }) => state !== "subscribed")) {
      show("connecting", "Catching up…");
    } else {
      wasOnline = true;
      show("online", "Online", `to process ${process}`);
    }
  }

  client.on("connected", ({ data }) => {
    process = data.process;
  });
  client.on("state", update);
  for (const subscription of subscriptions) {
    subscription.on("state", update);
    subscription.on("unsubscribed", ({ reason }) => show("ended", `Not allowed: ${reason}`));
  }
  client.on("disconnected", ({ code, reason }) => {
    show("ended", code === UNAUTHORIZED ? "You are no longer logged in. " : `The connection has ended: ${reason}. `);
    const link = document.createElement("a");
    link.href = "/";
    link.textContent = code === UNAUTHORIZED ? "Log in" : "Reload";
    text.append(link);
  });
}

function show(state, words, title = "") {
  element.dataset.state = state;
  element.title = title;
  if (text.textContent !== words) text.textContent = words;
}
