// Runs the checks in a browser that nobody drives, and sends the results to the server. Then the page reloads
// itself, and navigates to another page, each time with a connection open.
"use strict";

function connect(path, protocols = [], binaryType = "arraybuffer") {
  return new Peer(WebSocket, location.origin.replace("http", "ws") + path, protocols, binaryType);
}

const BROWSER_CHECKS = {
  async binary_as_blobs() {
    const peer = await connect("/echo", [], "blob").open();
    const bytes = someBytes(70000);
    peer.send(new Blob([bytes.slice(0, 5), bytes.slice(5)]));
    const blob = await peer.receive();
    assert(blob instanceof Blob, `the message is a ${Object.prototype.toString.call(blob)}`);
    assertSameBytes(await blob.arrayBuffer(), bytes);
    await peer.close();
  },

  async a_page_of_another_origin_is_refused() {
    const peer = new Peer(WebSocket, location.origin.replace("http", "ws").replace("127.0.0.1", "localhost") + "/echo");
    assertEqual((await within(peer.closed, "close event")).code, 1006, "the code");
  },

  async a_second_tab() {
    const peer = await connect("/room").open();
    window.open("tab.html", "_blank", "noopener");
    assertEqual(await peer.receive(), "A second tab", "the first message");
    peer.send("Is anybody there?");
    assertEqual(await peer.receive(), "Just me", "the answer");
    await peer.close();
  },
};

function report(stage, results) {
  return fetch(`/results/${stage}`, {method: "POST", body: JSON.stringify(results)});
}

const STAGES = {
  async checks() {
    await report("checks", await runChecks(connect, {...CHECKS, ...BROWSER_CHECKS, ...CENTRIFUGE_CHECKS}));
    await connect("/presence/reload").open();
    sessionStorage.setItem("stage", "reloaded");
    location.reload();
  },

  async reloaded() {
    await connect("/presence/navigation").open();
    location.assign("away.html");
  },
};

const stage = sessionStorage.getItem("stage") || "checks";
addEventListener("load", () => setTimeout(() => {
  STAGES[stage]().catch((error) => report("travels", {[stage]: `${error}`}));
}));
