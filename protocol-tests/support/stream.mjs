// A reader of server-sent events, as HTML (9.2) wants it, who keeps what it is told until the test asks for it.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { DEADLINE_MS, Inbox, within } from "./wait.mjs";

export const STREAM = "/api/activities/stream";

export class Reader {
  #inbox = new Inbox();

  /** Opens the stream, whatever the answer to that is. */
  static async open(server, { name, headers = {}, path = STREAM } = {}) {
    const reader = new Reader();
    const key = name === undefined ? {} : { "X-Api-Key": server.key(name) };
    const request = http.get(server.url + path, { headers: { ...key, ...headers }, agent: false });
    server.adopt(() => request.destroy());
    const [response] = await within(DEADLINE_MS, "the head of the stream", once(request, "response"));
    reader.request = request;
    reader.response = response;
    reader.ended = new Promise((resolve) => response.once("close", resolve));
    response.setEncoding("utf8");
    // Whoever is cut off gets an error, which `ended` waits for already.
    response.on("error", () => {});
    let text = "";
    response.on("data", (data) => {
      text += data;
      let end;
      while ((end = text.indexOf("\n\n")) !== -1) {
        reader.#inbox.put(parse(text.slice(0, end)));
        text = text.slice(end + 2);
      }
    });
    return reader;
  }

  get status() {
    return this.response.statusCode;
  }

  /** The oldest event, heartbeats aside, that was not taken yet. */
  next(what = "an event") {
    return this.#inbox.take(what, (event) => event.comment === undefined);
  }

  heartbeat() {
    return this.#inbox.take("a heartbeat", (event) => event.comment !== undefined);
  }

  /** All events, heartbeats aside, that are there and were not taken yet. */
  all() {
    return this.#inbox.takeAll((event) => event.comment === undefined);
  }

  /** Takes nothing of what comes until `goOn`. */
  stall() {
    this.response.pause();
  }

  goOn() {
    this.response.resume();
  }

  close() {
    this.request.destroy();
  }
}

function parse(block) {
  const event = {};
  for (const line of block.split("\n")) {
    const [, field, value] = /^([a-z]*): ?(.*)$/s.exec(line) ?? assert.fail(`not a line of an event: ${line}`);
    if (field === "") event.comment = value;
    else event[field] = field === "data" ? JSON.parse(value) : value;
  }
  return event;
}
