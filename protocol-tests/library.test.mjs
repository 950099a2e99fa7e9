// The programs of docs/library.md, with the official client.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { io } from "socket.io-client";
import { exampleTest } from "./support/example.mjs";
import { binary } from "./support/server.mjs";
import { DEADLINE_MS, Inbox, within } from "./support/wait.mjs";

const ANY_PORT = { ADDRESS: "127.0.0.1:0" };
const io2 = createRequire(import.meta.url)("socket.io-client-2");

class Guest {
  #inbox = new Inbox();

  constructor(program, { path = "/", ...options } = {}) {
    this.socket = io(program.url + path, { forceNew: true, reconnection: false, ...options });
    program.adopt(() => this.socket.disconnect());
    this.socket.onAny((event, ...args) => this.#inbox.put({ event, args }));
    for (const event of ["connect", "disconnect", "connect_error"]) this.socket.on(event, (...args) => this.#inbox.put({ event, args }));
  }

  static async join(program, options) {
    const guest = new Guest(program, options);
    await guest.next("connect");
    guest.id = guest.socket.id;
    return guest;
  }

  /** The arguments of the oldest event of that name that was not taken yet. */
  async next(event) {
    const { args } = await this.#inbox.take(event, (candidate) => candidate.event === event);
    return args;
  }

  /** The arguments of all events of that name until the server has answered a last question. */
  async all(event) {
    assert.equal(await this.socket.timeout(DEADLINE_MS).emitWithAck("sum", 1, 2), 3);
    return this.#inbox.takeAll((candidate) => candidate.event === event).map(({ args }) => args);
  }
}

exampleTest("chat", "chat: rooms, and who may not come in", ANY_PORT, async (program) => {
  const stranger = new Guest(program);
  const [error] = await stranger.next("connect_error");
  assert.equal(error.message, "say your name");

  const alice = await Guest.join(program, { auth: { name: "alice" } });
  const bob = await Guest.join(program, { auth: { name: "bob" } });
  alice.socket.emit("join", "rust");
  alice.socket.emit("message", "rust", "hello");
  assert.deepEqual(await alice.next("message"), ["rust", "alice", "hello"]);

  bob.socket.emit("join", "rust");
  bob.socket.emit("message", "rust", "hello, alice");
  for (const guest of [alice, bob]) assert.deepEqual(await guest.next("message"), ["rust", "bob", "hello, alice"], "the first that bob hears");

  bob.socket.emit("leave", "rust");
  bob.socket.emit("message", 1);
  bob.socket.emit("message", "rust", { not: "text" });
  bob.socket.emit("message", "rust", "bye");
  assert.deepEqual(await alice.next("message"), ["rust", "bob", "bye"]);
  bob.socket.emit("join", "rust");
  bob.socket.emit("message", "rust", "back again");
  assert.deepEqual(await bob.next("message"), ["rust", "bob", "back again"], "not his own bye");
});

exampleTest("presence", "presence: everyone sees who comes, does something, and goes", ANY_PORT, async (program) => {
  const alice = await Guest.join(program, { auth: { name: "alice" } });
  assert.deepEqual(await alice.next("players"), [{ [alice.id]: ["alice", "online"] }]);
  const bob = await Guest.join(program, { auth: { name: "bob" } });
  const see = async (...statuses) => {
    for (const guest of [alice, bob]) assert.deepEqual(await guest.next("players"), [{ [alice.id]: ["alice", statuses[0]], [bob.id]: ["bob", statuses[1]] }]);
  };
  await see("online", "online");
  alice.socket.emit("status", { not: "a status" });
  alice.socket.emit("status", "playing");
  await see("playing", "online");
  bob.socket.emit("status", "busy");
  await see("playing", "busy");
  bob.socket.disconnect();
  assert.deepEqual(await alice.next("players"), [{ [alice.id]: ["alice", "playing"] }]);

  const [error] = await new Guest(program, { auth: { name: 1 } }).next("connect_error");
  assert.match(error.message, /^auth: invalid type/);
});

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  exampleTest("mounted", `mounted in a hyper server: ${transports}`, ANY_PORT, async (program) => {
    const page = async () => (await fetch(program.url)).text();
    assert.equal(await page(), "0 sockets\n");
    const guest = await Guest.join(program, { transports });
    assert.equal(await page(), "1 sockets\n");
    assert.deepEqual(await guest.socket.timeout(DEADLINE_MS).emitWithAck("anything", "comes back"), "comes back");
    assert.equal(await page(), "1 sockets\n");
  });
}

exampleTest("tour", "namespaces, admission, and the proxy in front", ANY_PORT, async (program) => {
  const nobody = new Guest(program, { path: "/nowhere" });
  assert.equal((await nobody.next("connect_error"))[0].message, "Invalid namespace");
  for (const [auth, message, data] of [
    [{}, /^auth: missing field `token`/, undefined],
    [{ token: "guess" }, /^not authorized$/, ["ask an admin for a token"]],
  ]) {
    const [error] = await new Guest(program, { path: "/admin", auth }).next("connect_error");
    assert.match(error.message, message);
    assert.deepEqual(error.data, data);
  }
  const options = { path: "/admin", auth: { token: "secret" } };
  const admin = await Guest.join(program, { ...options, query: { lang: "fr" }, extraHeaders: { "X-Forwarded-For": "made up, 192.0.2.7" } });
  assert.deepEqual(await admin.next("welcome"), ["fr", "192.0.2.7"]);
  const direct = await Guest.join(program, options);
  assert.deepEqual(await direct.next("welcome"), ["en", "127.0.0.1"]);
});

exampleTest("tour", "events, acks both ways, binary, arguments", ANY_PORT, async (program) => {
  const guest = await Guest.join(program);
  const { socket } = guest;
  assert.equal(await socket.timeout(DEADLINE_MS).emitWithAck("sum", 40, 2), 42);
  socket.emit("sum", 1, 2); // and wants no answer
  socket.emit("sum", 1, "two");
  assert.match((await guest.next("failed"))[0], /^argument 1: invalid type/);
  socket.emit("unheard");
  assert.deepEqual(await guest.next("failed"), ["there is no event unheard"]);

  socket.once("question", (text, answer) => answer(text.toUpperCase()));
  socket.emit("ask");
  assert.deepEqual(await guest.next("answer"), ["WHAT IS YOUR NAME?"]);

  const pixels = Buffer.from([1, 2, 3, 4, 255, 0]);
  socket.emit("upload", { name: "dot", pixels });
  const [{ name, pixels: half }] = await guest.next("preview");
  assert.equal(name, "dot");
  assert.deepEqual(Buffer.from(half), pixels.subarray(0, 3));

  socket.emit("order", { item: "tea", unknown: 1 }, "hot");
  assert.deepEqual(await guest.next("ordered"), ["tea", 1, "hot"]);
  socket.emit("order", { item: "tea", count: 2 });
  assert.deepEqual(await guest.next("ordered"), ["tea", 2, null]);
  const nested = { deep: [1, { bytes: pixels }], text: "é€😀" };
  socket.emit("forward", "first", nested);
  assert.deepEqual(await guest.next("arguments"), [2, '"first"']);
  const [first, second] = await guest.next("forwarded");
  assert.equal(first, "first");
  assert.deepEqual({ ...second, deep: [1, { bytes: Buffer.from(second.deep[1].bytes) }] }, nested);
});

exampleTest("tour", "rooms and broadcasts, volatile, disconnects", ANY_PORT, async (program) => {
  const [red, purple, blue, none] = await Promise.all([0, 1, 2, 3].map(() => Guest.join(program)));
  for (const [guest, ...rooms] of [[red, "red"], [purple, "red", "blue"], [blue, "blue"]]) {
    for (const room of rooms) guest.socket.emit("join", room);
    await guest.all("nothing");
  }
  assert.deepEqual(await red.all("joined"), [["red", purple.id]]);
  assert.deepEqual(await purple.all("joined"), [["blue", blue.id]]);
  red.socket.emit("tell", "hi");
  await red.all("nothing");
  const heard = async (guest) => (await guest.all("news")).map(([to, news]) => (assert.equal(news, "hi"), to));
  assert.deepEqual(await heard(red), ["all", "a room", "two"]);
  assert.deepEqual(await heard(purple), ["all", "a room", "two", "the others"]);
  assert.deepEqual(await heard(blue), ["all", "two", "all but", "the others"]);
  assert.deepEqual(await heard(none), ["all", "all but", "the others"]);

  // Whoever is busy at that moment misses it: that is what volatile means.
  await purple.next("tick");
  const moving = setInterval(() => blue.socket.emit("position", 1, 2), 20);
  try {
    assert.deepEqual(await none.next("position"), [1, 2]);
  } finally {
    clearInterval(moving);
  }

  none.socket.emit("kick", "blue");
  for (const guest of [purple, blue]) assert.deepEqual((await guest.next("disconnect"))[0], "io server disconnect");
  assert.deepEqual(await red.next("gone"), [purple.id, false, "server namespace disconnect"]);
  none.socket.emit("kick", "session");
  assert.deepEqual((await none.next("disconnect"))[0], "io server disconnect");
  await red.all("nothing");

  const lost = await Guest.join(program, { transports: ["websocket"] });
  lost.socket.emit("join", "red");
  assert.deepEqual(await red.next("joined"), ["red", lost.id]);
  lost.socket.io.engine.close();
  assert.deepEqual(await red.next("gone"), [lost.id, true, "transport close"]);
  red.socket.emit("kick");
  assert.deepEqual((await red.next("disconnect"))[0], "io server disconnect");
});

exampleTest("tour", "a client of version 2, and settings", ANY_PORT, async (program) => {
  const old = io2(program.url, { forceNew: true, reconnection: false });
  program.adopt(() => old.disconnect());
  await within(DEADLINE_MS, "connect", new Promise((resolve) => old.once("connect", resolve)));
  const sum = new Promise((resolve) => old.emit("sum", 40, 2, resolve));
  assert.equal(await within(DEADLINE_MS, "the sum", sum), 42);

  const opening = await (await fetch(`${program.url}/socket.io/?EIO=4&transport=polling`)).text();
  const { pingInterval, maxPayload } = JSON.parse(opening.slice(1));
  assert.deepEqual({ pingInterval, maxPayload }, { pingInterval: 10_000, maxPayload: 100_000 });
});

test("shutdown: clients are told, and it takes no longer than it has to", { timeout: 60_000 }, async () => {
  const child = spawn(path.join(path.dirname(binary()), "examples", "tour"), [], { env: ANY_PORT, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  let guest;
  try {
    const [line] = await within(2 * DEADLINE_MS, "the address", once(createInterface({ input: child.stdout }), "line"));
    guest = await Guest.join({ url: line.replace("listening on ", ""), adopt: () => {} }, { transports: ["websocket"] });
    child.kill("SIGINT");
    assert.equal((await guest.next("disconnect"))[0], "transport close");
    assert.deepEqual(await within(2 * DEADLINE_MS, "the end", ended), [0, null]);
  } finally {
    guest?.socket.disconnect();
    child.kill("SIGKILL");
    await ended;
  }
});
