// What an admin may ask and do over REST: who is connected, and to end that.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import { promisify } from "node:util";
import { Player } from "./support/player.mjs";
import { PollingSession } from "./support/polling.mjs";
import { ROLE, serverTest } from "./support/server.mjs";
import { until } from "./support/wait.mjs";

const users = [{ name: "root", role: ROLE.admin }, { name: "eve", role: ROLE.editor }, "alice", "bob", { name: "gone", deleted_at: "2026-01-02T03:04:05.000Z" }];

async function ask(server, asker, path, method = "GET") {
  const headers = asker === null ? {} : { "X-Api-Key": server.key(asker) };
  const response = await fetch(server.url + path, { method, headers });
  const text = await response.text();
  return { status: response.status, text, body: text && JSON.parse(text), allow: response.headers.get("allow") };
}

const sessions = async (server) => (await ask(server, "root", "/api/admin/sessions")).body;
const end = (server, name, asker = "root") => ask(server, asker, `/api/admin/users/${server.id(name)}/sessions`, "DELETE");

/** A player on long-polling, who then moves to a WebSocket. */
async function moving(server, name) {
  const player = await Player.join(server, name, { transports: ["polling", "websocket"] });
  const { engine } = player.socket.io;
  if (engine.transport.name !== "websocket") await new Promise((resolve) => engine.once("upgrade", resolve));
  return player;
}

serverTest("who is connected, and by what", { users }, async (server) => {
  assert.deepEqual(await sessions(server), { count: 0, transports: { polling: 0, websocket: 0 }, users: [] });
  const before = Date.now();
  const [alice, polling] = [await moving(server, "alice"), await PollingSession.join(server, "alice")];
  const bob = await Player.join(server, "bob");
  const { text, body } = await ask(server, "root", "/api/admin/sessions");
  const since = body.users.map(({ since }) => since);
  assert.deepEqual(body, {
    count: 3,
    transports: { polling: 1, websocket: 2 },
    users: [
      { user_id: server.id("alice"), count: 2, polling: 1, websocket: 1, since: since[0] },
      { user_id: server.id("bob"), count: 1, polling: 0, websocket: 1, since: since[1] },
    ],
  });
  assert.ok(before <= since[0] && since[0] <= since[1] && since[1] <= Date.now(), `${since}`);
  for (const secret of [server.key("alice"), polling.handshake.sid, alice.socket.io.engine.id, bob.sid]) assert.ok(!text.includes(secret));
  await bob.leave();
  await alice.leave();
  while ((await sessions(server)).count > 1);
  assert.deepEqual((await sessions(server)).transports, { polling: 1, websocket: 0 });
});

serverTest("only for admins", { users }, async (server) => {
  const alice = await Player.join(server, "alice");
  for (const [asker, status] of [[null, 401], ["alice", 403], ["eve", 403], ["gone", 401]]) {
    assert.equal((await ask(server, asker, "/api/admin/sessions")).status, status);
    assert.equal((await end(server, "alice", asker)).status, status);
  }
  assert.equal((await alice.ask("set-activity", { state: "BUSY" })).status, "ok");
});

serverTest("other methods, and users that are none", { users }, async (server) => {
  const refused = await ask(server, "root", "/api/admin/sessions", "DELETE");
  assert.deepEqual([refused.status, refused.allow], [405, "GET, HEAD"]);
  const got = await ask(server, "root", "/api/admin/users/3/sessions");
  assert.deepEqual([got.status, got.allow], [405, "DELETE"]);
  assert.equal((await end(server, "gone")).status, 404);
  assert.equal((await ask(server, "root", "/api/admin/users/77/sessions", "DELETE")).status, 404);
  assert.deepEqual(await end(server, "alice"), { status: 204, text: "", body: "", allow: null }, "who is not connected needs no disconnecting");
});

serverTest("a user is disconnected on every transport, told so, and offline at once", { users }, async (server) => {
  const bob = await Player.join(server, "bob");
  const players = [await Player.join(server, "alice"), await moving(server, "alice"), await Player.join(server, "alice", { transports: ["polling"] })];
  await players[0].ask("set-activity", { state: "BUSY" });
  assert.equal((await bob.next("activity")).state, "BUSY");
  assert.equal((await end(server, "alice")).status, 204);
  for (const player of players) assert.equal(await player.next("disconnect"), "io server disconnect");
  assert.equal((await bob.next("activity")).state, "OFFLINE");
  await until("alice's sessions to end", (ended) => ended === 3, () => server.stderr.match(/closed after .*: forced server close/g)?.length);
  // She may come back, and bob was not disturbed.
  await Player.join(server, "alice");
  assert.deepEqual((await sessions(server)).users.map(({ user_id, count }) => [user_id, count]), [[server.id("alice"), 1], [server.id("bob"), 1]]);
});

serverTest("a user whose key was shown by the CONNECT", { users, env: { AUTH_CONNECT_PAYLOAD_ENABLED: "true" } }, async (server) => {
  const alice = await Player.join(server, "alice", { extraHeaders: {}, auth: { apiKey: server.key("alice") } });
  const [nobody] = (await sessions(server)).users;
  assert.deepEqual([nobody.user_id, nobody.websocket], [null, 1]);
  assert.equal((await end(server, "alice")).status, 204);
  assert.equal(await alice.next("disconnect"), "io server disconnect");
});

serverTest("without activities nobody is connected", { users, env: { SERVER_ONLINE_ACTIVITIES_DISABLED: "true" } }, async (server) => {
  assert.equal((await ask(server, "root", "/api/admin/sessions")).status, 404);
  assert.equal((await end(server, "alice")).status, 404);
});

serverTest("docs/page.md: what it shows", { users: [{ name: "root", role: ROLE.admin }, "alice"] }, async (server) => {
  const page = fs.readFileSync(new URL("../docs/page.md", import.meta.url), "utf8");
  const [[, list, listed], [, disconnect]] = page.matchAll(/^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?/gms);
  const env = { PATH: process.env.PATH, URL: server.url, KEY: server.key("root") };
  const run = async (command) => (await promisify(execFile)("sh", ["-c", command], { env })).stdout;
  await Player.join(server, "root");
  await Player.join(server, "root", { transports: ["polling"] });
  const alice = await Player.join(server, "alice");
  const normal = (text) => text.trim().replace(/\b\d{13}\b/g, "TIME");
  assert.equal(normal(await run(list)), normal(listed));
  assert.equal(await run(disconnect), "");
  assert.equal(await alice.next("disconnect"), "io server disconnect");
});
