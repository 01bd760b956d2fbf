// A client for the test of recovery, as recovery_client.py is: node recovery_client.js MODULES URL CHANNEL.
"use strict";

const [modules, url, channel] = process.argv.slice(2);
const { Centrifuge } = require(`${modules}/centrifuge`);
const WebSocket = require(`${modules}/ws`);

const delays = { minReconnectDelay: 50, maxReconnectDelay: 200 };
const client = new Centrifuge(url, { websocket: WebSocket, timeout: 20000, ...delays });
const subscription = client.newSubscription(channel, { minResubscribeDelay: 50, maxResubscribeDelay: 200 });
subscription.on("publication", (context) => console.log("p", context.data, context.offset));
subscription.on("subscribed", (context) => {
  console.log("s", Number(context.wasRecovering), Number(context.recovered));
});
subscription.subscribe();
client.connect();
