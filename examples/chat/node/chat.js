#!/usr/bin/env node
// A terminal client for the chat: node chat.js host:8080 [room]
"use strict";

const readline = require("node:readline");
const { client: WebSocketClient } = require("websocket");

const PROMPT = "> ";
const INDENT = "   ";
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

// Shows control characters and indents further lines: no text may garble the terminal or fake others'.
function printable(text) {
  const escape = (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return text.replace(CONTROL, escape).replaceAll("\n", `\n${INDENT}`);
}

function converse(connection) {
  const terminal = readline.createInterface({ input: process.stdin, output: process.stdout, prompt: PROMPT });

  terminal.on("line", (line) => {
    connection.sendUTF(line);
    terminal.prompt();
  });
  terminal.on("close", () => connection.close()); // end of input, or Ctrl-C in a terminal
  process.once("SIGINT", () => terminal.close());

  connection.on("message", (message) => {
    if (message.type === "utf8") {
      process.stdout.write(`\r=> ${printable(message.utf8Data)}\n`);
      terminal.prompt(true);
    }
  });
  connection.on("error", (error) => console.error(`Connection Error: ${error.message}`));
  connection.on("close", (code, description) => {
    process.stdout.write(`\rchat Connection Closed. Code=${code} (${printable(description)})\n`);
    terminal.removeAllListeners("close");
    terminal.close();
  });

  terminal.prompt();
}

function main(host, room = "lobby") {
  if (!host) {
    console.error("usage: node chat.js host:port [room]");
    process.exitCode = 2;
    return;
  }
  const client = new WebSocketClient();
  client.on("connectFailed", (error) => {
    console.error(`Connect Error: ${error.message}`);
    process.exitCode = 1;
  });
  client.on("connect", converse);
  client.connect(`ws://${host}/chat/${encodeURIComponent(room)}`, "chat");
}

main(process.argv[2], process.argv[3]);
