// The page: one client, which connects, comes back and catches up by itself, and what is made of what it brings.

import { answerTo } from "./asking.js";
import { Dashboard } from "./dashboard.js";
import { Room } from "./room.js";
import { showState } from "./state.js";

const { readings, room, kept, user } = document.body.dataset;
const client = new Centrifuge(`${location.origin.replace("http", "ws")}/live`);
const subscriptions = [client.newSubscription(readings), client.newSubscription(room)];
const [weather, talk] = subscriptions;

const dashboard = new Dashboard(Number(kept));
follow(weather, dashboard);
follow(talk, new Room(talk, user));
showState(client, subscriptions);

weather.on("subscribed", ({ recovered, wasRecovering, streamPosition }) => {
  if (wasRecovering) dashboard.tellWhatCameBack(recovered ? streamPosition.offset : null);
});

for (const subscription of subscriptions) subscription.subscribe();
client.connect();

// Shows what is published on a channel. What was missed while the connection was cut comes by itself, before
// what is new. Only a page that is new, or was away for too long, must ask for the history.
function follow(subscription, view) {
  let hasHistory = false;
  subscription.on("publication", ({ offset, data }) => view.add(offset, data));
  subscription.on("subscribed", async ({ recovered }) => {
    if (recovered && hasHistory) return;
    hasHistory = false;
    view.clear();
    const history = await answerTo(subscription, () => subscription.history({ limit: Number(kept) }));
    for (const { offset, data } of history?.publications ?? []) view.add(offset, data);
    hasHistory = history !== null;
  });
}
