// Engine.IO 3, and Socket.IO 4 on it, where they are allowed: what differs from Engine.IO 4.

import assert from "node:assert/strict";
import { ask, assertOk, assertRefused, BAD_REQUEST, POLLING, UNKNOWN } from "./support/polling.mjs";
import { GATEWAY, RawSession } from "./support/raw.mjs";
import { serverTest } from "./support/server.mjs";

const ALLOWED = { env: { ENGINE_ALLOW_EIO3: "true" } };
const FAST = { env: { ...ALLOWED.env, ENGINE_PING_INTERVAL_MS: "300", ENGINE_PING_TIMEOUT_MS: "200" } };
const POLLING_3 = POLLING.replace("EIO=4", "EIO=3");
const GATEWAY_3 = GATEWAY.replace("EIO=4", "EIO=3");
const NO_STATUS = 1005;
const UNSUPPORTED = { code: 5, message: "Unsupported protocol version" };

/** A payload: each packet behind its length in UTF-16 code units, which is what a string of JavaScript counts. */
const encode = (...packets) => packets.map((packet) => `${packet.length}:${packet}`).join("");

function decode(payload) {
  const packets = [];
  while (payload !== "") {
    const [head, digits] = /^(\d+):/.exec(payload);
    const end = head.length + Number(digits);
    packets.push(payload.slice(head.length, end));
    payload = payload.slice(end);
  }
  return packets;
}

/** A session on long-polling. */
class Session {
  #packets = [];

  static async open(server, name, query = "") {
    const session = new Session();
    session.server = server;
    session.headers = { "X-Api-Key": server.key(name) };
    session.path = `${POLLING_3}${query}`;
    const { status, headers, body } = await session.get();
    assert.equal(status, 200, body);
    assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
    const [opening, ...others] = decode(body);
    assert.deepEqual(others, []);
    session.handshake = JSON.parse(opening.slice(1));
    session.path += `&sid=${session.handshake.sid}`;
    return session;
  }

  get() {
    return ask(this.server, { path: this.path, headers: this.headers });
  }

  post(body, headers = {}) {
    return ask(this.server, { method: "POST", path: this.path, headers: { "Content-Type": "text/plain;charset=UTF-8", ...this.headers, ...headers }, body });
  }

  async send(...packets) {
    assertOk(await this.post(encode(...packets)));
  }

  async packet() {
    while (this.#packets.length === 0) {
      const { status, body } = await this.get();
      assert.equal(status, 200, body);
      this.#packets.push(...decode(body));
    }
    return this.#packets.shift();
  }

  /** Past what every client is told first. */
  async joined() {
    assert.equal(await this.packet(), "40");
    assert.match(await this.packet(), /^42\["activities",\[/);
    return this;
  }

  async gone() {
    assertRefused(await this.get(), UNKNOWN);
  }

  candidate() {
    const candidate = new RawSession(this.server, null, { path: this.path.replace("polling", "websocket"), headers: this.headers });
    return new Promise((resolve) => candidate.ws.once("open", () => resolve(candidate)));
  }
}

serverTest("it is off unless it is allowed", {}, async (server) => {
  const headers = { "X-Api-Key": server.key("alice") };
  assertRefused(await ask(server, { path: POLLING_3, headers }), UNSUPPORTED);
});

serverTest("no other version becomes allowed with it", ALLOWED, async (server) => {
  const headers = { "X-Api-Key": server.key("alice") };
  for (const version of ["2", "5", "03", "3.0", "", "abc"]) {
    assertRefused(await ask(server, { path: POLLING.replace("EIO=4", `EIO=${version}`), headers }), UNSUPPORTED);
  }
});

serverTest("the handshake, and the main namespace without asking", ALLOWED, async (server) => {
  const session = await Session.open(server, "alice");
  const { sid, ...rest } = session.handshake;
  assert.match(sid, /^[A-Za-z0-9_-]{22,}$/);
  assert.deepEqual(rest, { upgrades: ["websocket"], pingInterval: 25000, pingTimeout: 20000, maxPayload: 1000000 });
  await session.joined();
  // A CONNECT to where it is already is a violation, in this version as in the next.
  await session.send("40");
  await session.gone();
});

serverTest("other namespaces: the query is no part of the name, and there are none here", ALLOWED, async (server) => {
  const session = await (await Session.open(server, "alice")).joined();
  await session.send("40/custom?token=abc,");
  assert.equal(await session.packet(), '44/custom,{"message":"Invalid namespace"}');
  await session.send("40/custom?token=abc");
  assert.equal(await session.packet(), '44/custom,{"message":"Invalid namespace"}');
});

serverTest("lengths are counted in UTF-16 code units", ALLOWED, async (server) => {
  const session = await (await Session.open(server, "alice")).joined();
  const report = (id, state) => `42${id}["set-activity",{"state":${JSON.stringify(state)}}]`;
  await session.send(report(1, "é€😀"), report(2, "ONLINE"));
  // The exception tells the payload back.
  assert.match(await session.packet(), /é€😀/);
  assert.match(await session.packet(), /^431\[/);
  assert.match(await session.packet(), /"state":"ONLINE"/);
  assert.match(await session.packet(), /^432\[/);
});

serverTest("what is no payload ends the session", ALLOWED, async (server, t) => {
  for (const body of ["", "abc", "5:4", "1:x", "-1:3", ":3", "3:2", "1.5:2", "1e1:2", "2:42", encode("3"), encode("2") + "1"]) {
    await t.test(JSON.stringify(body), async () => {
      const session = await (await Session.open(server, "alice")).joined();
      assertOk(await session.post(body));
      await session.gone();
    });
  }
});

serverTest("both sides speak the same version to the end", ALLOWED, async (server) => {
  const session = await (await Session.open(server, "alice")).joined();
  const headers = session.headers;
  const asVersion4 = session.path.replace("EIO=3", "EIO=4");
  assertRefused(await ask(server, { path: asVersion4, headers }), BAD_REQUEST);
  assertRefused(await ask(server, { method: "POST", path: asVersion4, headers, body: "3" }), BAD_REQUEST);
  await session.send("2");
  assert.equal(await session.packet(), "3");
});

serverTest("the heartbeat is the client's: its pings are answered, without what they carry", ALLOWED, async (server) => {
  const session = await (await Session.open(server, "alice")).joined();
  for (const ping of ["2", "2abc", "2probe"]) {
    await session.send(ping);
    assert.equal(await session.packet(), "3");
  }
  const websocket = await RawSession.open(server, "alice", { path: GATEWAY_3 });
  assert.equal(await websocket.frame(), "40");
  await websocket.frame();
  websocket.send("2abc");
  assert.equal(await websocket.frame(), "3");
  websocket.send("3");
  assert.equal(await websocket.closed(), NO_STATUS);
});

serverTest("who does not ping is lost, on each transport and across the upgrade; nobody is pinged", FAST, async (server) => {
  const websocket = await RawSession.open(server, "alice", { path: GATEWAY_3 });
  assert.equal(await websocket.frame(), "40");
  await websocket.frame();
  const session = await (await Session.open(server, "alice")).joined();
  const upgraded = await (await Session.open(server, "alice")).joined();
  const candidate = await upgraded.candidate();
  candidate.send("2probe");
  assert.equal(await candidate.frame(), "3probe");
  assert.equal(await upgraded.packet(), "6");
  candidate.send("5");
  // One that goes on, long after the others are gone.
  const alive = await RawSession.open(server, "bob", { path: GATEWAY_3 });
  const pings = setInterval(() => alive.send("2"), 100);
  try {
    assert.equal(await session.packet(), "1");
    await session.gone();
    assert.equal(await websocket.closed(), NO_STATUS);
    assert.equal(await candidate.closed(), NO_STATUS);
    assert.equal(await alive.frame(), "40");
    assert.match(await alive.frame(), /^42\["activities"/);
    for (let i = 0; i < 10; i += 1) assert.equal(await alive.frame(), "3");
  } finally {
    clearInterval(pings);
  }
});

serverTest("bytes are a packet of their own kind, and no part of a report", ALLOWED, async (server) => {
  const websocket = await RawSession.open(server, "alice", { path: GATEWAY_3 });
  assert.equal(await websocket.frame(), "40");
  await websocket.frame();
  websocket.send(Buffer.from([4, 1, 2, 3]));
  assert.equal(await websocket.closed(), NO_STATUS);
  const session = await (await Session.open(server, "alice")).joined();
  assertOk(await session.post(Buffer.from([1, 4, 0xff, 4, 1, 2, 3]), { "Content-Type": "application/octet-stream" }));
  await session.gone();
});
