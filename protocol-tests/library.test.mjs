// The programs of docs/library.md, with the official client; and what socket.io-client's own tests ask of a server.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { io, Manager } from "socket.io-client";
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

exampleTest("tour", "many are asked, one is whispered to", ANY_PORT, async (program) => {
  const [red, purple, silent, blue] = await Promise.all([0, 1, 2, 3].map(() => Guest.join(program)));
  for (const guest of [red, purple, silent]) {
    guest.socket.emit("join", "red");
    await guest.all("nothing");
  }
  red.socket.on("vote", (_, answer) => answer("not asked by itself"));
  purple.socket.on("vote", (question, answer) => answer(`${question} yes`));
  silent.socket.on("vote", () => silent.socket.disconnect());
  blue.socket.on("vote", (_, answer) => answer("in another room"));
  red.socket.emit("vote", "red", "tea?");
  assert.deepEqual(await red.next("votes"), [["tea? yes"], 0]);
  blue.socket.emit("vote", "red", "coffee?");
  assert.deepEqual(await blue.next("votes"), [["coffee? yes", "not asked by itself"], 0]);

  red.socket.emit("whisper", blue.id, "psst");
  assert.deepEqual(await blue.next("whispered"), [red.id, "psst"]);
  red.socket.emit("whisper", "nobody", "psst");
  assert.deepEqual(await red.next("failed"), ["argument 0: not the id of a socket"]);
  red.socket.emit("whisper", silent.id, "psst");
  assert.deepEqual(await red.next("failed"), ["nobody is there"]);
});

exampleTest("tour", "two namespaces reach each other", ANY_PORT, async (program) => {
  const guest = await Guest.join(program);
  const admin = await Guest.join(program, { path: "/admin", auth: { token: "secret" } });
  guest.socket.emit("call");
  assert.deepEqual(await admin.next("called"), [guest.id]);
  admin.socket.emit("announce", "closing", { at: Buffer.from("5") });
  assert.deepEqual(await guest.next("announcement"), ["closing", { at: Buffer.from("5") }]);
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

  const guest = await Guest.join(program);
  const bytes = [1, 2, 3].map((byte) => Buffer.from([byte]));
  guest.socket.emit("forward", ...bytes);
  assert.deepEqual(await guest.next("forwarded"), bytes);
  guest.socket.emit("forward", ...bytes, Buffer.alloc(0));
  assert.match((await guest.next("disconnect"))[0], /^transport (close|error)$/);
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

// ---------------------------------------------------------------------------------------------------------------------
// What socket.io-client's own tests ask of their server, of the support server

/** What comes with the next event of that name. */
const heard = (emitter, event) => within(DEADLINE_MS, event, new Promise((resolve) => emitter.once(event, (...args) => resolve(args))));
const FAST = { reconnectionDelay: 10, randomizationFactor: 0 };
const FAILING = { ...FAST, timeout: 0, reconnectionAttempts: 2 };

/** Each of `cases` with a program that they share: it gets `open`, for a connection of its own, and `manage`, for several sockets on one. */
function suite(name, cases) {
  exampleTest("support-server", `socket.io-client's own tests: ${name}`, {}, async (program, t) => {
    const open = (where = "", options = {}) => {
      const socket = io(program.url + where, { forceNew: true, ...FAST, ...options });
      program.adopt(() => socket.io._close());
      return socket;
    };
    const manage = (options = {}) => {
      const manager = new Manager(program.url, { ...FAST, ...options });
      program.adopt(() => manager._close());
      return manager;
    };
    for (const [title, body] of Object.entries(cases)) await t.test(title, () => body({ open, manage }));
  });
}

/** All that an event of that name brings, until there are so many. */
function collect(socket, event, count) {
  const all = [];
  return within(DEADLINE_MS, () => `${count} times ${event}; there is ${JSON.stringify(all)}`, new Promise((resolve) => {
    socket.on(event, (first) => all.push(first) === count && resolve(all));
  }));
}

/** Emits it and gives what comes back as another. */
const exchange = (sent, event, arg) => async ({ open }) => {
  const socket = open();
  for (const args of sent) socket.emit(...args);
  const [first] = await heard(socket, event);
  if (typeof arg === "function") assert.ok(arg(first), String(first));
  else assert.deepEqual(first, arg);
};
const isDate = (text) => typeof text === "string" && !Number.isNaN(Date.parse(text));
const isOffset = (text) => /^\d+$/.test(text);
const MIXED = { hello: "lol", message: Buffer.from("howdy"), goodbye: "gotcha" };

suite("events", {
  "hi": exchange([["hi"]], "hi", isOffset),
  "false": exchange([["false"]], "false", false),
  "a date": exchange([["getDate"]], "takeDate", isDate),
  "a date in an object": exchange([["getDateObj"]], "takeDateObj", ({ date }) => isDate(date)),
  "bytes come": exchange([["getbin"]], "takebin", Buffer.from("asdfasdf")),
  "bytes go": exchange([["buffa", "no bytes"], ["buffa", new Uint8Array(6).buffer]], "buffack", isOffset),
  "bytes go among other things": exchange([["jsonbuff", MIXED]], "jsonbuff-ack", isOffset),
  "bytes and texts go in order": exchange([["abuff1", Buffer.from("1")], ["abuff2", "second"]], "abuff2-ack", isOffset),
  "one that would be a blob": exchange([["blob", Buffer.from("x")]], "back", isOffset),
  "among other things, as well": exchange([["jsonblob", MIXED]], "jsonblob-ack", isOffset),
  "and in order": exchange([["blob1", Buffer.from("1")], ["blob2", "second"], ["blob3", Buffer.from("3")]], "blob3-ack", isOffset),
  "bytes come as what the client wants": async ({ open }) => {
    const socket = open();
    socket.io.engine.binaryType = "arraybuffer";
    socket.emit("doge");
    assert.ok((await heard(socket, "doge"))[0] instanceof ArrayBuffer);
  },
  "texts beyond ASCII, in order": async ({ open }) => {
    const socket = open();
    socket.emit("getUtf8");
    assert.deepEqual(await collect(socket, "takeUtf8", 5), ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]);
  },
  "acks, both ways": async ({ open }) => {
    const socket = open();
    socket.once("ack", (answer) => answer(5, { test: true }));
    socket.emit("ack");
    await heard(socket, "got it");
    assert.ok(isDate(await socket.emitWithAck("getAckDate", { test: true })));
    assert.equal(await socket.emitWithAck("echo", 123), 123);
  },
  "events in order, before the connection and after": async ({ open }) => {
    const socket = open("", { autoConnect: false });
    const order = [];
    socket.emit("echo", "first", (text) => order.push(text));
    socket.connect();
    await heard(socket, "connect");
    order.push(await socket.emitWithAck("echo", "second"));
    assert.deepEqual(order, ["first", "second"]);
  },
  "volatile: not before there is a connection, not while another packet goes, but later": async ({ open }) => {
    const socket = open("", { autoConnect: false });
    let count = 0;
    socket.volatile.emit("getId", () => (count += 1));
    socket.connect();
    await heard(socket, "connect");
    const [asked] = [socket.emitWithAck("getId"), socket.volatile.emit("getId", () => (count += 1))];
    await asked;
    assert.equal(await socket.emitWithAck("getId"), socket.id);
    assert.equal(count, 0);
    if (socket.io.engine.transport.name !== "websocket") await heard(socket.io.engine, "upgrade");
    await within(DEADLINE_MS, "a volatile event's ack", new Promise((resolve) => {
      const timer = setInterval(() => socket.volatile.emit("getId", () => resolve(clearInterval(timer))), 20);
    }));
  },
  "acks that do not come in time, and those that do": async ({ open }) => {
    const socket = open();
    await assert.rejects(socket.timeout(50).emitWithAck("unknown"), /timed out/);
    assert.ok((await new Promise((resolve) => open().timeout(0).emit("echo", 42, resolve))) instanceof Error);
    assert.equal(await socket.timeout(DEADLINE_MS).emitWithAck("echo", 42), 42);
    const impatient = open("", { ackTimeout: 50 });
    assert.ok((await new Promise((resolve) => impatient.emit("unknown", resolve))) instanceof Error);
  },
  "acks end with the connection; what is not sent yet is sent by the next": async ({ open }) => {
    const socket = open();
    await heard(socket, "connect");
    const answers = [socket.emitWithAck("echo", "a"), socket.timeout(DEADLINE_MS).emitWithAck("echo", "a")];
    socket.emit("echo", "a", () => assert.fail("it has gone"));
    socket.disconnect();
    for (const answer of answers) await assert.rejects(answer, /disconnected/);
    const unsent = new Promise((resolve) => socket.emit("echo", "b", resolve));
    socket.connect();
    assert.equal(await within(DEADLINE_MS, "the ack", unsent), "b");
  },
});

const tokens = (handshake, ...members) => members.map((member) => [handshake.query[member], handshake.auth[member]]);

suite("who comes, and what is known of it", {
  "its id, which is not the session's": async ({ open }) => {
    for (const where of ["", "/foo"]) {
      const socket = open(where);
      const id = await socket.emitWithAck("getId");
      assert.equal(socket.id, id);
      assert.notEqual(socket.id, socket.io.engine.id);
      socket.disconnect();
      assert.equal(socket.id, undefined);
    }
  },
  "another id after a reconnection": async ({ open }) => {
    const socket = open();
    await heard(socket, "connect");
    const { id } = socket;
    socket.io.once("reconnect_attempt", () => assert.equal(socket.id, undefined));
    const back = heard(socket, "connect");
    socket.io.engine.close();
    await back;
    assert.notEqual(socket.id, id);
  },
  "a query, as an object and as text": async ({ open }) => {
    for (const [where, options, ...expected] of [
      ["/", { query: { e: "f" } }, ["f", undefined]],
      ["/?e=f", {}, ["f", undefined]],
      ["/", { auth: { e: "f" } }, [undefined, "f"]],
    ]) {
      assert.deepEqual(tokens(await open(where, options).emitWithAck("getHandshake"), "e"), expected);
    }
    for (const [where, options, members, ...expected] of [
      ["/abc", { query: { a: "b" } }, ["a"], ["b", undefined]],
      ["/abc?b=c&d=e", {}, ["b", "d"], ["c", undefined], ["e", undefined]],
      ["/abc", { query: { "&a": "&=?a" } }, ["&a"], ["&=?a", undefined]],
      ["/abc", { auth: { a: "b", c: "d" } }, ["a", "c"], [undefined, "b"], [undefined, "d"]],
      ["/abc", { auth: (put) => put({ e: "f" }) }, ["e"], [undefined, "f"]],
    ]) {
      const [handshake] = await heard(open(where, options), "handshake");
      assert.deepEqual(tokens(handshake, ...members), expected);
    }
  },
  "whoever listens to everything hears the handshake, and nothing else": async ({ open }) => {
    const socket = open("/abc");
    const events = [];
    socket.onAny((event) => events.push(event));
    await heard(socket, "handshake");
    assert.deepEqual(events, ["handshake"]);
  },
  "refused, and not tried again": async ({ manage }) => {
    for (const [where, options, message] of [
      ["/no", {}, "Auth failed (custom namespace)"],
      ["/", { query: { fail: true } }, "Auth failed (main namespace)"],
      ["/nowhere", {}, "Invalid namespace"],
    ]) {
      const manager = manage(options);
      const [valid, refused] = [manager.socket("/valid"), manager.socket(where)];
      const [error] = await heard(refused, "connect_error");
      assert.ok(error instanceof Error);
      assert.equal(error.message, message);
      refused.on("connect_error", () => assert.fail("it tried again"));
      // Not even when the connection comes back.
      const back = heard(valid, "connect");
      manager.engine.close();
      await back;
      await assert.rejects(valid.timeout(50).emitWithAck("nobody answers this"));
    }
  },
});

suite("connections", {
  "a namespace on a connection that is there": async ({ manage }) => {
    const manager = manage();
    await heard(manager.socket("/"), "connect");
    await heard(manager.socket("/foo"), "connect");
  },
  "a namespace after the connection was closed": async ({ manage }) => {
    const manager = manage();
    const socket = manager.socket("/");
    await heard(socket, "connect");
    socket.disconnect();
    await heard(manager.socket("/foo"), "connect");
  },
  "a namespace while another is left": async ({ manage }) => {
    const manager = manage();
    const foo = manager.socket("/foo");
    await heard(foo, "connect");
    const asd = manager.socket("/asd");
    foo.disconnect();
    await heard(asd, "connect");
    // The connection ends with its last socket.
    assert.equal(asd.connected, true);
    const closed = heard(manager, "close");
    asd.disconnect();
    await closed;
  },
  "it comes back by itself, by hand, and by itself after that": async ({ open }) => {
    const socket = open();
    await heard(socket, "connect");
    for (let round = 0; round < 2; round += 1) {
      const back = Promise.all([heard(socket.io, "reconnect"), heard(socket, "connect")]);
      socket.io.engine.close();
      await back;
      socket.disconnect();
      socket.connect();
      await heard(socket, "connect");
    }
  },
  "out and in at once": async ({ open }) => {
    const socket = open("/", { transports: ["websocket"] });
    await heard(socket, "connect");
    let count = 0;
    socket.on("disconnect", () => (count += 1));
    socket.disconnect().connect();
    assert.equal(await socket.emitWithAck("echo", 1), 1);
    assert.equal(count, 1);
  },
  "one socket gives up, another comes back": async ({ manage }) => {
    const manager = manage();
    const [main, asd] = [manager.socket("/"), manager.socket("/asd")];
    await Promise.all([heard(main, "connect"), heard(asd, "connect")]);
    main.once("connect", () => assert.fail("it has given up"));
    manager.once("reconnect_attempt", () => main.disconnect());
    const back = heard(asd, "connect");
    manager.engine.close();
    await back;
    assert.equal(main.connected, false);
  },
  "attempts that take too long are counted, and come to an end": async ({ manage }) => {
    for (const where of ["/timeout", "/timeout_socket"]) {
      const manager = manage(FAILING);
      const socket = manager.socket(where);
      for (let round = 0; round < 2; round += 1) {
        const attempts = [];
        manager.on("reconnect_attempt", (attempt) => attempts.push(attempt));
        await heard(manager, "reconnect_failed");
        assert.deepEqual(attempts, [1, 2]);
        manager.off("reconnect_attempt");
        socket.connect();
      }
    }
  },
  "too late on either transport": async ({ open }) => {
    for (const transports of [["polling"], ["websocket"]]) {
      const [error] = await heard(open("", { timeout: 0, transports }), "connect_error");
      assert.equal(error.message, "timeout");
    }
  },
  "in time, nothing is tried again": async ({ manage }) => {
    const manager = manage();
    manager.on("reconnect_attempt", () => assert.fail("it was there"));
    const valid = manager.socket("/valid");
    await heard(valid, "connect");
    await assert.rejects(valid.timeout(100).emitWithAck("nobody answers this"));
  },
  "a socket that was closed is opened again, one that is active is not": async ({ manage }) => {
    const manager = manage();
    const socket = manager.socket("/");
    await heard(socket, "connect");
    socket.disconnect();
    assert.equal(manager.socket("/"), socket);
    const said = [];
    manager.engine.on("packetCreate", ({ data }) => said.push(data));
    await heard(socket, "connect");
    assert.equal(manager.socket("/"), socket);
    socket.disconnect();
    // With the pid that it has heard, the CONNECT.
    assert.deepEqual(said.map((packet) => packet[0]), ["0", "1"]);
  },
  "what it cannot read closes its connection, and it comes back": async ({ manage }) => {
    const manager = manage();
    const { engine } = manager;
    await heard(manager.socket("/"), "connect");
    const back = heard(manager, "reconnect");
    engine.emit("data", "bad");
    await back;
    assert.notEqual(manager.engine, engine);
    assert.equal(engine.readyState, "closed");
  },
});

/** What a client says until it ends. */
function said(socket) {
  const packets = [];
  socket.io.engine.on("packetCreate", ({ data }) => packets.push(data));
  return packets;
}

suite("retries, and recovery", {
  "one packet after another": async ({ open }) => {
    const socket = open("", { retries: 1, ackTimeout: 1000 });
    const packets = said(socket);
    const answers = await Promise.all([1, 2, 3].map((n) => new Promise((resolve) => socket.emit("echo", n, (error, value) => resolve([error, value, socket._queue.length])))));
    assert.deepEqual(answers, [[null, 1, 2], [null, 2, 1], [null, 3, 0]]);
    assert.deepEqual(packets.filter((data) => data !== undefined && data !== "probe"), ["0", '20["echo",1]', '21["echo",2]', '22["echo",3]']);
  },
  "no ack, tried again and given up": async ({ open }) => {
    const socket = open("", { retries: 3, ackTimeout: 50 });
    const packets = said(socket);
    let count = 0;
    socket.on("ack", () => (count += 1));
    const error = await within(DEADLINE_MS, "the end", new Promise((resolve) => socket.emit("ack", resolve)));
    assert.ok(error instanceof Error);
    assert.equal(count, 4);
    assert.deepEqual(packets.filter((data) => data?.startsWith("2")), ['20["ack"]', '21["ack"]', '22["ack"]', '23["ack"]']);
  },
  "nothing is tried while there is no connection": async ({ open }) => {
    const socket = open("", { autoConnect: false, retries: 3, ackTimeout: 1000 });
    const answer = new Promise((resolve) => socket.emit("echo", 1, (...args) => resolve(args)));
    assert.equal(socket._queue[0].tryCount, 0);
    socket.connect();
    assert.deepEqual(await within(DEADLINE_MS, "the ack", answer), [null, 1]);
  },
  "the same socket after a lost connection, once it has heard an event": async ({ open }) => {
    for (const transports of [["polling", "websocket"], ["websocket"], ["polling"]]) {
      const socket = open("", { transports });
      await heard(socket, "connect");
      for (const isKnown of [false, true]) {
        if (isKnown) {
          socket.emit("hi");
          await heard(socket, "hi");
        }
        const { id } = socket;
        const back = heard(socket, "connect");
        socket.io.engine.close();
        await back;
        assert.equal(socket.recovered, isKnown);
        assert.equal(socket.id === id, isKnown);
      }
    }
  },
});
