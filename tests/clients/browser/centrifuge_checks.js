// npm's centrifuge, in the two forms that it has for browsers.
"use strict";

const CENTRIFUGE_CHECKS = {
  async centrifuge_in_json_misses_nothing() {
    await missesNothing(CentrifugeInJSON, {}, (data) => data, (data) => data);
  },

  async centrifuge_in_protobuf_misses_nothing() {
    const encode = (data) => new TextEncoder().encode(JSON.stringify(data));
    const decode = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
    await missesNothing(Centrifuge, {protocol: "protobuf"}, encode, decode);
  },
};

// Publishes and receives, is cut off while 20 numbers are published, comes back, and does the same again.
async function missesNothing(Client, options, encode, decode) {
  const url = location.origin.replace("http", "ws") + "/centrifuge";
  const client = new Client(url, {...options, minReconnectDelay: 10, maxReconnectDelay: 100});
  const channel = `log-${Math.random()}`;
  const subscription = client.newSubscription(channel);
  const received = [];
  let awaited = null;
  subscription.on("publication", ({data}) => {
    received.push(decode(data));
    if (awaited && received.length >= awaited.count) awaited.resolve();
  });
  const until = (count, what) => within(new Promise((resolve) => {
    awaited = {count, resolve};
    if (received.length >= count) resolve();
  }), what);
  const subscribed = () => within(new Promise((resolve) => subscription.once("subscribed", resolve)), "subscription");

  subscription.subscribe();
  client.connect();
  assertEqual((await subscribed()).wasRecovering, false, "whether it was recovering");
  await subscription.publish(encode(0));
  await until(1, "publication");

  const missed = Array.from({length: 20}, (_, index) => index + 1);
  const back = subscribed();
  client.rpc("cut", encode({channel, messages: missed})).catch(() => {});  // it is cut off before the answer
  const {wasRecovering, recovered} = await back;
  assertEqual([wasRecovering, recovered], [true, true], "whether it was recovering, and has recovered");
  await until(21, "missed publications");
  await subscription.publish(encode(21));
  await until(22, "publication after the return");
  assertEqual(received, [0, ...missed, 21], "what it has received");
  client.disconnect();
}
