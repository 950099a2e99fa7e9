// The conformance program: what the official protocol suites ask of a server of Engine.IO, and of Socket.IO; and the official clients of both.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import net from "node:net";
import WebSocket from "ws";
import { Client as SocketClient, TRANSPORTS, VERSIONS } from "./support/client.mjs";
import { exampleTest } from "./support/example.mjs";
import { RawSession } from "./support/raw.mjs";
import { Inbox, within, DEADLINE_MS } from "./support/wait.mjs";

const conformanceTest = (...args) => exampleTest("conformance", ...args);

const require = createRequire(import.meta.url);
/** The Engine.IO client that a version of the Socket.IO client stands on. */
const clientOf = (name) => createRequire(require.resolve(name))("engine.io-client");

const GENERATIONS = [
  { name: "engine.io-client 6 (of socket.io-client 4.8)", connect: (...args) => new (clientOf("socket.io-client").Socket)(...args), version: 4 },
  { name: "engine.io-client 4 (of socket.io-client 3.1)", connect: clientOf("socket.io-client-3"), version: 4 },
  { name: "engine.io-client 3 (of socket.io-client 2.5)", connect: clientOf("socket.io-client-2"), version: 3 },
];
const BOTH = { EIO3: "1" };
/** No heartbeat gets in the way of what is no test of it. */
const CALM = { ...BOTH, PING_INTERVAL: "25000", PING_TIMEOUT: "20000" };

class Client {
  #inbox = new Inbox();

  constructor(program, connect, options = {}) {
    this.engine = connect(program.url, { path: "/engine.io/", ...options });
    this.engine.binaryType = "nodebuffer";
    // The official parsers make no difference between an empty text and none.
    this.engine.on("message", (data = "") => this.#inbox.put(data));
    this.closed = new Promise((resolve) => this.engine.once("close", resolve));
    this.opened = new Promise((resolve, reject) => this.engine.once("open", resolve).once("error", reject));
    program.adopt(() => this.engine.close());
  }

  next() {
    return this.#inbox.take("an echo");
  }
}

/** Waits for six heartbeats: version 3 tells of the server's pongs, version 4 of the server's pings. */
function beats(engine) {
  let count = 0;
  return within(DEADLINE_MS, "six heartbeats", new Promise((resolve) => {
    for (const kind of ["ping", "pong"]) engine.on(kind, () => (count += 1) === 6 && resolve());
  }));
}

/** All but U+001E in a text, which version 4 cannot carry on long-polling: it is what stands between two packets. */
const MESSAGES = ["", "hello", "é€😀", "\u0000", "4", "b4", "x".repeat(100_000), Buffer.alloc(0), Buffer.from([1, 2, 3]), Buffer.from([4]), Buffer.alloc(70_000, 0x1e)];

for (const { name, connect } of GENERATIONS) {
  for (const [on, transports] of Object.entries(TRANSPORTS)) {
    for (const forceBase64 of [false, true]) {
      conformanceTest(`${name}, ${on}${forceBase64 ? ", base64" : ""}: every message comes back as it was, across the upgrade too`, CALM, async (program) => {
        const client = new Client(program, connect, { transports, forceBase64 });
        await client.opened;
        for (const message of MESSAGES) client.engine.send(message);
        for (const message of MESSAGES) assert.deepEqual(await client.next(), message);
        if (transports.length === 2 && client.engine.transport.name !== "websocket") {
          await within(DEADLINE_MS, "the upgrade", new Promise((resolve) => client.engine.once("upgrade", resolve)));
        }
        assert.equal(client.engine.transport.name, transports.at(-1));
        for (const message of MESSAGES) client.engine.send(message);
        for (const message of MESSAGES) assert.deepEqual(await client.next(), message);
        client.engine.close();
        await within(DEADLINE_MS, "the close", client.closed);
      });
    }
    conformanceTest(`${name}, ${on}: it lives for many heartbeats`, BOTH, async (program) => {
      const client = new Client(program, connect, { transports });
      await client.opened;
      await Promise.race([beats(client.engine), client.closed.then((reason) => assert.fail(reason))]);
      client.engine.send("still there");
      assert.equal(await client.next(), "still there");
    });
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// By hand, as the suites do it

for (const version of [3, 4]) {
  const encode = (packet) => (version === 3 ? `${packet.length}:${packet}` : packet);
  const decode = (payload) => (version === 3 ? /^\d+:(.*)$/s.exec(payload)[1] : payload);

  conformanceTest(`EIO ${version}, long-polling: handshake, echo, overlap, close`, CALM, async ({ url }) => {
    const base = `${url}/engine.io/?EIO=${version}&transport=polling`;
    for (const [query, init] of [["transport=polling", {}], [`EIO=abc&transport=polling`, {}], [`EIO=${version}`, {}], [`EIO=${version}&transport=abc`, {}], [`EIO=${version}&transport=polling`, { method: "post" }], [`EIO=${version}&transport=polling`, { method: "put" }]]) {
      assert.equal((await fetch(`${url}/engine.io/?${query}`, init)).status, 400, query);
    }
    const open = async () => {
      const response = await fetch(base);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      const { sid, ...rest } = JSON.parse(decode(await response.text()).slice(1));
      assert.deepEqual(rest, { upgrades: ["websocket"], pingInterval: 25000, pingTimeout: 20000, maxPayload: 1000000 });
      return `${base}&sid=${sid}`;
    };
    const session = await open();
    assert.equal(await (await fetch(session, { method: "post", body: encode("4hello") })).text(), "ok");
    assert.equal(await (await fetch(session)).text(), encode("4hello"));
    // Two GETs at once.
    const [one, other] = await Promise.all([fetch(session), fetch(session)]);
    assert.deepEqual([one.status, other.status].sort(), [200, 400]);
    assert.equal(await (one.status === 200 ? one : other).text(), encode("1"));
    assert.equal((await fetch(session)).status, 400);
    // What is no packet.
    const broken = await open();
    await fetch(broken, { method: "post", body: "abc" });
    assert.equal((await fetch(broken)).status, 400);
    // The client's goodbye.
    const leaving = await open();
    assert.equal((await fetch(leaving, { method: "post", body: encode("1") })).status, 200);
    assert.equal((await fetch(leaving)).status, 400);
  });

  conformanceTest(`EIO ${version}, WebSocket: handshake, echo, what is refused`, CALM, async ({ url, port, adopt }) => {
    const base = `ws://127.0.0.1:${port}/engine.io/?EIO=${version}&transport=websocket`;
    const open = (address = base) => {
      const ws = new WebSocket(address);
      const inbox = new Inbox();
      ws.on("message", (data, isBinary) => inbox.put(isBinary ? data : data.toString()));
      ws.on("close", (code) => inbox.put({ code }));
      ws.on("error", () => {});
      adopt(() => ws.terminate());
      return { ws, next: () => inbox.take("a frame or the close") };
    };
    for (const bad of [base.replace(/EIO=\d&/, ""), base.replace(/EIO=\d/, "EIO=abc"), base.replace("websocket", "abc"), base.replace(/&transport.*/, "")]) {
      assert.deepEqual(await open(bad).next(), { code: 1006 }, bad);
    }
    const session = open();
    const { sid, ...rest } = JSON.parse((await session.next()).slice(1));
    assert.deepEqual(rest, { upgrades: [], pingInterval: 25000, pingTimeout: 20000, maxPayload: 1000000 });
    session.ws.send("4hello");
    assert.equal(await session.next(), "4hello");
    session.ws.send(version === 3 ? Buffer.from([4, 1, 2]) : Buffer.from([1, 2]));
    assert.deepEqual(await session.next(), version === 3 ? Buffer.from([4, 1, 2]) : Buffer.from([1, 2]));
    // A second WebSocket for it is let in and closed at once; polling it is refused.
    assert.deepEqual(await open(`${base}&sid=${sid}`).next(), { code: 1005 });
    assert.equal((await fetch(`${url}/engine.io/?EIO=${version}&transport=polling&sid=${sid}`)).status, 400);
    session.ws.send("abc");
    assert.deepEqual(await session.next(), { code: 1005 });
    const leaving = open();
    await leaving.next();
    leaving.ws.send("1");
    assert.deepEqual(await leaving.next(), { code: 1005 });
  });
}

conformanceTest("EIO 3 is refused unless it is allowed", {}, async ({ url }) => {
  const response = await fetch(`${url}/engine.io/?EIO=3&transport=polling`);
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), { code: 5, message: "Unsupported protocol version" });
});

conformanceTest("it listens on IPv6 as well", {}, async ({ port }) => {
  const socket = net.connect(port, "::1");
  await within(DEADLINE_MS, "a connection", new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject)));
  socket.destroy();
});

// ---------------------------------------------------------------------------------------------------------------------
// Socket.IO by hand, as its suite does it

const NO_STATUS = 1005;

/** Joins a namespace, `where` being how it stands in a packet, and takes what comes on connect. */
async function join(session, where = "", auth) {
  session.send(`40${where}${auth === undefined ? "" : JSON.stringify(auth)}`);
  const answer = await session.frame();
  assert.equal(answer.slice(0, 2 + where.length), `40${where}`);
  const { sid, ...rest } = JSON.parse(answer.slice(2 + where.length));
  assert.deepEqual(rest, {});
  assert.match(sid, /^[\w-]{20}$/);
  assert.equal(await session.frame(), `42${where}["auth",${JSON.stringify(auth ?? {})}]`);
  return sid;
}

conformanceTest("Socket.IO: into the main namespace and another, with and without an auth payload", CALM, async (program) => {
  const sids = new Set();
  for (const auth of [undefined, {}, { token: "é", "": [null, { ["__proto__"]: 1 }] }]) {
    const session = await RawSession.open(program, null);
    sids.add(session.handshake.sid);
    sids.add(await join(session, "", auth));
    sids.add(await join(session, "/custom,", auth));
    // Both again.
    for (const where of ["", "/custom,"]) {
      session.send(`41${where}`);
      sids.add(await join(session, where, auth));
    }
  }
  assert.equal(sids.size, 15);
});

conformanceTest("Socket.IO: a namespace that does not exist is refused, and the connection stays", CALM, async (program) => {
  const session = await RawSession.open(program, null);
  for (const wanted of ["/random", "/random,", '/random,{"a":1}', "/CUSTOM,"]) {
    session.send(`40${wanted}`);
    assert.equal(await session.frame(), `44${wanted.split(",")[0]},{"message":"Invalid namespace"}`);
  }
  await join(session);
  session.send('42["message",1]');
  assert.equal(await session.frame(), '42["message-back",1]');
});

conformanceTest("Socket.IO: who is in no namespace is closed after a second", CALM, async (program) => {
  const began = performance.now();
  const [absent, refused, left] = await Promise.all([0, 1, 2].map(() => RawSession.open(program, null)));
  refused.send("40/random");
  assert.match(await refused.frame(), /^44/);
  await join(left);
  left.send("41");
  const ends = [absent, refused, left].map(async (session) => {
    assert.equal(await session.closed(), NO_STATUS);
    assert.ok(performance.now() - began > 950, "too early");
  });
  const inside = await RawSession.open(program, null);
  await join(inside, "/custom,");
  await Promise.all(ends);
  inside.send("40");
  assert.match(await inside.frame(), /^40/);
});

/** Each closes a connection that is in the main namespace. A buffer is a binary message. */
const INVALID = {
  "no packet": [["4"], ["4abc"], ["49"], ["47[]"]],
  CONNECT: [["40"], ["40{}"], ["40/custom,[]"], ['40/custom,"x"'], ["40/custom,null"], ["40/custom,{"]],
  DISCONNECT: [["41{}"], ["41/custom,"], ["41", "41"]],
  EVENT: [["42"], ["42[]"], ["42{}"], ['42"x"'], ["42[null]"], ["42[{}]"], ['42["message",'], ['42["connect"]'], ['42["disconnect",1]'], ['42abc["message"]'], ['42/custom,["message"]'], ["41", '42["message"]']],
  ACK: [["430{}"], ["430"], ['430"x"'], ["43/custom,0[]"]],
  CONNECT_ERROR: [['44{"message":"x"}'], ['44"x"']],
  BINARY_EVENT: [["45[]"], ['45["message"]'], ['451["message"]'], ['45a-["message"]'], ['450-["message"]'], ['4511-["message"]'], ['451-["connect",{"_placeholder":true,"num":0}]'], ["451-{}"]],
  BINARY_ACK: [["46[]"], ["461-0{}"], ["4611-0[]"]],
  attachments: [
    [Buffer.from([1])],
    ['451-["message",{"_placeholder":true,"num":0}]', '42["message"]'],
    ['451-["message",{"_placeholder":true,"num":1}]', Buffer.from([1])],
    ['451-["message",{"_placeholder":true,"num":"0"}]', Buffer.from([1])],
    ['452-["message",{"_placeholder":true,"num":0}]', Buffer.from([1]), "41"],
    // The packet is answered before it is clear that there is one too many.
    ['451-["note",{"_placeholder":true,"num":0}]', Buffer.from([1]), Buffer.from([1])],
  ],
};

for (const [kind, all] of Object.entries(INVALID)) {
  conformanceTest(`Socket.IO: invalid packets cost the connection: ${kind}`, CALM, async (program) => {
    for (const packets of all) {
      const session = await RawSession.open(program, null);
      await join(session);
      packets.forEach((packet) => session.send(packet));
      assert.equal(await session.closed(), NO_STATUS, packets.join());
    }
  });
}

conformanceTest("Socket.IO: nothing but CONNECT before the first namespace", CALM, async (program) => {
  for (const packet of ['42["message"]', "41", "430[]", '451-["message",{"_placeholder":true,"num":0}]', Buffer.from([1])]) {
    const session = await RawSession.open(program, null);
    session.send(packet);
    assert.equal(await session.closed(), NO_STATUS, packet);
  }
});

conformanceTest("Socket.IO: who leaves a namespace, or the last, keeps the others and the connection", {}, async (program) => {
  const session = await RawSession.open(program, null);
  await join(session);
  await join(session, "/custom,");
  session.send("41/custom,");
  session.send('42["message","still here"]');
  const heartbeat = async () => {
    let frame;
    while ((frame = await session.frame()) === "2") session.send("3");
    return frame;
  };
  assert.equal(await heartbeat(), '42["message-back","still here"]');
  session.send("41");
  assert.equal(await session.frame(), "2");
});

conformanceTest("Socket.IO: messages and acks, plain and binary; another namespace hears nothing of them", CALM, async (program) => {
  const session = await RawSession.open(program, null);
  await join(session);
  await join(session, "/custom,", { a: 1 });
  const args = '1,"2",{"3":[true]},null,"é\\ud800 \\u0000",1e400,123456789012345678901234567890';
  const [one, two] = ['{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":1}'];
  const bytes = [Buffer.from([1, 2, 3]), Buffer.alloc(0)];
  const exchanges = [
    [[`42["message",${args}]`], [`42["message-back",${args}]`]],
    [['42["message"]'], ['42["message-back"]']],
    [[`42456["message-with-ack",${args}]`], [`43456[${args}]`]],
    [['420["message-with-ack"]'], ["430[]"]],
    [['429007199254740991["message-with-ack"]'], ["439007199254740991[]"]],
    [[`452-["message",${one},[{"in":${two}}]]`, ...bytes], [`452-["message-back",${one},[{"in":${two}}]]`, ...bytes]],
    [[`452-789["message-with-ack",${two},"-",${one}]`, ...bytes], [`462-789[${two},"-",${one}]`, ...bytes]],
    [[`451-["message",${one}]`, bytes[0], `451-["message",${one}]`, bytes[1]], [`451-["message-back",${one}]`, bytes[0], `451-["message-back",${one}]`, bytes[1]]],
  ];
  for (const [sent, expected] of exchanges) {
    // Nobody answers there.
    session.send('42/custom,["message","x"]');
    session.send('42/custom,0["message-with-ack","x"]');
    for (const packet of sent) session.send(packet);
    for (const packet of expected) assert.deepEqual(await session.frame(), packet);
  }
});

// ---------------------------------------------------------------------------------------------------------------------
// As the official suite for Socket.IO listens: for one frame at a time

const ROUNDS = 5;

/**
 * Plays it some times. A client that stands still for as long as the event is put off finds both frames at once after all, and loses one of them: on
 * a busy machine that may happen once.
 */
async function rounds(play) {
  let mayLose = true;
  for (let round = 0; round < ROUNDS; round += 1) {
    try {
      await play();
    } catch (error) {
      if (!mayLose || !error.message.startsWith("waited")) throw error;
      mayLose = false;
    }
  }
}

/** A WebSocket on `/socket.io/`. */
function plainSocket({ port, adopt }, version) {
  const ws = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=${version}&transport=websocket`);
  ws.binaryType = "arraybuffer";
  ws.on("error", () => {});
  adopt(() => ws.terminate());
  return ws;
}

/** What the next frame says, or the close. Whatever comes while nobody listens is lost. */
async function hear(ws, type = "message") {
  const { data } = await within(DEADLINE_MS, `a ${type}`, new Promise((resolve) => ws.addEventListener(type, resolve, { once: true })));
  return data;
}

/** The next frames, by a listener that stays. */
function hearAll(ws, count) {
  return within(DEADLINE_MS, `${count} frames`, new Promise((resolve) => {
    const frames = [];
    ws.addEventListener("message", ({ data }) => frames.push(data) === count && resolve(frames));
  }));
}

/** A client of version 4 in the main namespace. */
async function plainGuest(program) {
  const ws = plainSocket(program, 4);
  await hear(ws);
  ws.send("40");
  await hear(ws);
  await hear(ws);
  return ws;
}

const [ONE, TWO] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)];
const PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';

/** What a guest sends, and hears. */
const EXCHANGES = {
  "a message": [['42["message",1,"2",{"3":[true]}]'], ['42["message-back",1,"2",{"3":[true]}]']],
  "an ack": [['42456["message-with-ack",1,"2",{"3":[false]}]'], ['43456[1,"2",{"3":[false]}]']],
  "bytes": [[`452-["message",${PLACEHOLDERS}]`, ONE, TWO], [`452-["message-back",${PLACEHOLDERS}]`, ONE.buffer, TWO.buffer]],
  "an ack with bytes": [[`452-789["message-with-ack",${PLACEHOLDERS}]`, ONE, TWO], [`462-789[${PLACEHOLDERS}]`, ONE.buffer, TWO.buffer]],
  "an unknown namespace": [["40/random"], ['44/random,{"message":"Invalid namespace"}']],
};

for (const [what, [sent, expected]] of Object.entries(EXCHANGES)) {
  conformanceTest(`Socket.IO, one frame at a time: ${what}`, CALM, (program) =>
    rounds(async () => {
      const ws = await plainGuest(program);
      const heard = hearAll(ws, expected.length);
      for (const packet of sent) ws.send(packet);
      assert.deepEqual(await heard, expected);
      ws.terminate();
    }));
}

for (const [where, payload] of [["", ""], ["", '{"token":"123"}'], ["/custom,", ""], ["/custom,", '{"token":"abc"}']]) {
  conformanceTest(`Socket.IO, one frame at a time: 40${where}${payload}`, CALM, (program) =>
    rounds(async () => {
      const ws = plainSocket(program, 4);
      assert.equal((await hear(ws))[0], "0");
      ws.send(`40${where}${payload}`);
      const answer = await hear(ws);
      assert.ok(answer.startsWith(`40${where}{`), answer);
      assert.deepEqual(Object.keys(JSON.parse(answer.slice(2 + where.length))), ["sid"]);
      assert.equal(await hear(ws), `42${where}["auth",${payload || "{}"}]`);
      ws.terminate();
    }));
}

conformanceTest("Socket.IO, one frame at a time: out of one namespace, out of the main one, out of all", { PING_INTERVAL: "1000" }, (program) =>
  rounds(async () => {
    const ws = await plainGuest(program);
    ws.send("40/custom");
    assert.match(await hear(ws), /^40\/custom,\{/);
    assert.equal(await hear(ws), '42/custom,["auth",{}]');
    ws.send("41/custom");
    ws.send('42["message","to the main namespace"]');
    assert.equal(await hear(ws), '42["message-back","to the main namespace"]');
    ws.send("41");
    assert.equal(await hear(ws), "2", "the connection stays");
    ws.terminate();
    const broken = await plainGuest(program);
    broken.send("4abc");
    await hear(broken, "close");
  }));

conformanceTest("Socket.IO: who is gone before its event hears nothing of it", CALM, async (program) => {
  const session = await RawSession.open(program, null);
  for (const packet of ["40", "41", "40/custom,"]) session.send(packet);
  assert.match(await session.frame(), /^40\{/);
  assert.match(await session.frame(), /^40\/custom,\{/);
  assert.equal(await session.frame(), '42/custom,["auth",{}]');
});

conformanceTest("Socket.IO on Engine.IO 3: the answer and the event come together, and a pong behind them", CALM, (program) =>
  rounds(async () => {
    const ws = plainSocket(program, 3);
    const [opening, ...rest] = await hearAll(ws, 3);
    assert.equal(opening[0], "0");
    assert.deepEqual(rest, ["40", '42["auth",{}]']);
    ws.send("2");
    assert.equal(await hear(ws), "3");
    for (const [sent, auth] of [["40/custom", "{}"], ["40/custom?token=abc,", '{"token":"abc"}']]) {
      const heard = hearAll(ws, 2);
      ws.send(sent);
      assert.deepEqual(await heard, ["40/custom,", `42/custom,["auth",${auth}]`]);
      ws.send("41/custom");
    }
    ws.terminate();

    const base = `${program.url}/socket.io/?EIO=3&transport=polling`;
    const [, sid] = /"sid":"([^"]*)"/.exec(await (await fetch(base)).text());
    const session = `${base}&sid=${sid}`;
    assert.equal(await (await fetch(session, { method: "post", body: "1:2" })).text(), "ok");
    assert.equal(await (await fetch(session)).text(), '2:4013:42["auth",{}]1:3');
    await fetch(session, { method: "post", body: "1:1" });
  }));

// ---------------------------------------------------------------------------------------------------------------------
// Socket.IO with its official clients

for (const [version, connect] of Object.entries(VERSIONS)) {
  for (const [on, transports] of Object.entries(TRANSPORTS)) {
    for (const namespace of ["/", "/custom"]) {
      conformanceTest(`socket.io-client ${version}, ${on}, ${namespace}: auth, messages, acks, and many heartbeats`, { ...BOTH, PING_TIMEOUT: "2000" }, async (program) => {
        const auth = { token: "é" };
        // Version 2 has the query of a namespace instead, and nothing for the main one.
        const isV2 = version === "2";
        const client = await SocketClient.open(program, namespace, { connect, transports, ...(isV2 ? { query: auth } : { auth }) }).connected();
        assert.deepEqual(await client.args("auth"), [isV2 && namespace === "/" ? {} : auth]);
        const exchange = async () => {
          for (const args of [[], [1, "é€😀", { a: [true, null] }], [Buffer.from([1, 2]), { x: [Buffer.alloc(0), Buffer.from([3])] }]]) {
            client.emit("message", ...args);
            // Nobody answers in the other namespace.
            if (namespace !== "/") continue;
            assert.deepEqual(await client.args("message-back"), args);
            assert.deepEqual(await new Promise((resolve) => client.emit("message-with-ack", ...args, (...answer) => resolve(answer))), args);
          }
        };
        await exchange();
        await beats(client.socket.io.engine);
        await exchange();
        assert.equal(client.transport, transports.at(-1));
        for (const event of ["disconnect", "auth", "message-back"]) assert.deepEqual(client.all(event), [], event);
      });
    }
  }
}
