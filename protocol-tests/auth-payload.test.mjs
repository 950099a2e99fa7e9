// The key in the CONNECT's auth payload, for those who cannot send headers, where that is allowed.

import assert from "node:assert/strict";
import fs from "node:fs";
import { Player } from "./support/player.mjs";
import { ask, POLLING, PollingSession } from "./support/polling.mjs";
import { GATEWAY, RawSession } from "./support/raw.mjs";
import { serverTest } from "./support/server.mjs";

const ALLOWED = { env: { AUTH_CONNECT_PAYLOAD_ENABLED: "true" } };
const NO_STATUS = 1005;

/** A player as a browser on a WebSocket is one: no header, the key in the payload. */
const byPayload = (server, name, options) => new Player(server, name, { extraHeaders: {}, auth: { apiKey: server.key(name) }, ...options });

serverTest("without the setting nobody comes in without the header", {}, async (server) => {
  assert.ok(await byPayload(server, "alice").next("connect_error"));
  assert.equal((await ask(server, { path: POLLING })).status, 401);
});

for (const transports of [["polling", "websocket"], ["polling"], ["websocket"]]) {
  serverTest(`the key in the payload is as good as in the header: ${transports}`, ALLOWED, async (server) => {
    const bob = await Player.join(server, "bob");
    for (const auth of [{ apiKey: server.key("alice") }, (done) => done({ api_key: server.key("alice") }), { "X-Api-Key": server.key("alice") }]) {
      const alice = byPayload(server, "alice", { transports, auth });
      await alice.joined();
      const { activity } = await alice.ask("set-activity", { state: "ONLINE" });
      assert.deepEqual(activity, { user_id: server.id("alice"), socket_id: alice.sid, state: "ONLINE" });
      assert.deepEqual(await bob.next("activity"), activity);
      await alice.leave();
      assert.equal((await bob.next("activity")).state, "OFFLINE");
    }
  });
}

serverTest("what is no key is refused, and why; another try is free while there is time", { ...ALLOWED, users: ["alice", { name: "dave", activated: false }] }, async (server) => {
  const session = await RawSession.open(server, null);
  for (const [payload, why] of [
    ["", /missing/],
    ["{}", /missing/],
    ['{"apiKey":null}', /missing/],
    ['{"apiKey":"nonsense"}', /belongs to no user/],
    ['{"apiKey":1}', /auth: /],
    ['{"__proto__":{"apiKey":"x"}}', /missing/],
    [JSON.stringify({ apiKey: server.key("dave") }), /not activated/],
  ]) {
    session.send(`40${payload}`);
    const answer = await session.frame();
    assert.match(answer, /^44\{"message":/);
    assert.match(answer, why);
    assert.doesNotMatch(answer, new RegExp(server.key("dave")));
  }
  session.send(`40${JSON.stringify({ apiKey: server.key("alice") })}`);
  assert.match(await session.frame(), /^40\{"sid"/);
  assert.match(await session.frame(), /^42\["activities",\[\]\]/);
  assert.doesNotMatch(server.stderr, new RegExp(server.key("alice")));
});

serverTest("a wrong key in the header is refused at once, as ever", ALLOWED, async (server) => {
  const { status, body } = await ask(server, { path: POLLING, headers: { "X-Api-Key": "nonsense" } });
  assert.equal(status, 401);
  assert.equal(JSON.parse(body).code, 4);
});

serverTest("nobody may do nothing but CONNECT", ALLOWED, async (server) => {
  for (const packet of ['42["get-activities"]', "41", "430[]", '451-["x",{"_placeholder":true,"num":0}]']) {
    const session = await RawSession.open(server, null);
    session.send(packet);
    assert.equal(await session.closed(), NO_STATUS);
  }
});

serverTest("nobody has five seconds, whatever others have", { env: { ...ALLOWED.env, ENGINE_CONNECT_TIMEOUT_MS: "45000" }, timeout: 30_000 }, async (server) => {
  const known = await RawSession.open(server, "alice");
  const start = performance.now();
  const nobody = await RawSession.open(server, null);
  assert.equal(await nobody.closedAtLast(15_000), NO_STATUS);
  assert.ok(performance.now() - start > 4900);
  assert.match(server.stderr, /connect timeout/);
  known.send("40");
  assert.match(await known.frame(), /^40/);
});

serverTest("who came by the payload is disconnected as well when the key changes", ALLOWED, async (server) => {
  const alice = byPayload(server, "alice");
  await alice.joined();
  const bob = await Player.join(server, "bob");
  const users = server.users();
  users.find(({ username }) => username === "alice").api_key = "0".repeat(64);
  fs.writeFileSync(server.usersFile, JSON.stringify({ users }));
  assert.equal(await alice.next("disconnect"), "io server disconnect");
  await bob.ask("get-activities");
});

serverTest("a client of version 2 sends its key in the header, or not at all: its CONNECT is implied", { env: { ...ALLOWED.env, ENGINE_ALLOW_EIO3: "true" } }, async (server) => {
  const session = await RawSession.open(server, null, { path: GATEWAY.replace("EIO=4", "EIO=3") });
  assert.match(await session.frame(), /^44".*missing/);
  const header = await PollingSession.join(server, "alice");
  await header.alive();
});
