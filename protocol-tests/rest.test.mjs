// The HTTP answers beside Socket.IO: who asks, in which shape the answer comes, and what a wrong request gets.

import assert from "node:assert/strict";
import { once } from "node:events";
import { reached } from "./support/metrics.mjs";
import { ROLE, serverTest } from "./support/server.mjs";

const users = [
  { name: "root", role: ROLE.admin },
  "alice",
  { name: "gvbot_steam" },
  { name: "newcomer", activated: false },
  { name: "sleeper", role: ROLE.admin, activated: false },
  { name: "gone", deleted_at: "2026-01-02T03:04:05.000Z" },
];

const basic = (name, password) => ({ Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` });

async function get(server, path, headers = {}, options = {}) {
  const response = await fetch(server.url + path, { headers, redirect: "manual", ...options });
  const text = await response.text();
  const body = text && response.headers.get("content-type") === "application/json" ? JSON.parse(text) : text;
  return { status: response.status, headers: response.headers, body };
}

const withKey = (server, name) => ({ "X-Api-Key": server.key(name) });

/** An error in GameVault's shape, whose message is a sentence. */
function assertError({ status, body }, expected, name) {
  assert.equal(status, expected);
  assert.deepEqual({ ...body, message: "" }, { message: "", error: name, statusCode: expected });
  assert.match(body.message, /^[A-Z].*\.$/);
}

serverTest("/api/users/me tells a user all about itself", { users }, async (server) => {
  const me = await get(server, "/api/users/me", withKey(server, "alice"));
  assert.equal(me.status, 200);
  assert.deepEqual(me.body, {
    id: 2, created_at: null, updated_at: null, deleted_at: null, entity_version: null, username: "alice",
    avatar: null, background: null, email: null, first_name: null, last_name: null, birth_date: null,
    activated: true, role: 1, api_key: server.key("alice"), progresses: [], bookmarked_games: [],
  });
  assert.equal((await get(server, "/api/users/me", withKey(server, "sleeper"))).status, 200, "an admin needs no activation");
});

serverTest("who may not ask is told why", { users }, async (server) => {
  for (const path of ["/api/users/me", "/api/users"]) {
    assertError(await get(server, path), 401, "Unauthorized");
    assertError(await get(server, path, { "X-Api-Key": "0".repeat(64) }), 401, "Unauthorized");
    assertError(await get(server, path, { "X-Api-Key": "" }), 401, "Unauthorized");
    assertError(await get(server, path, { "X-Api-Key": server.key("alice").toUpperCase() }), 401, "Unauthorized");
    assertError(await get(server, path, withKey(server, "gone")), 401, "Unauthorized");
    assertError(await get(server, path, withKey(server, "newcomer")), 403, "Forbidden");
    assertError(await get(server, path, { Authorization: "Bearer x" }), 401, "Unauthorized");
    assertError(await get(server, path, { Authorization: "Basic %%%" }), 401, "Unauthorized");
    assertError(await get(server, path, basic("alice", "she has none")), 401, "Unauthorized");
  }
});

serverTest("a name and a password do as well as a key", { users }, async (server) => {
  await password(server, "alice", "correct horse: battery");
  await server.logged(/the users are as/);
  const me = await get(server, "/api/users/me", basic("ALICE", "correct horse: battery"));
  assert.equal(me.body.username, "alice");
  assert.ok(!JSON.stringify(me.body).includes("$2b$"), "never the password's hash");
  assertError(await get(server, "/api/users/me", basic("alice", "wrong")), 401, "Unauthorized");
  assertError(await get(server, "/api/users/me", basic("nobody", "wrong")), 401, "Unauthorized");
});

/** `rollcall users password NAME`, with the password on standard input. */
async function password(server, name, text) {
  const child = server.spawn(["users", "password", name]);
  child.stdin.end(`${text}\n`);
  assert.deepEqual(await once(child, "close"), [0, null]);
}

serverTest("/api/users lists whom the asker may see", { users }, async (server) => {
  const names = async (asker) => (await get(server, "/api/users", withKey(server, asker))).body.map((user) => user.username);
  assert.deepEqual(await names("alice"), ["root", "alice", "sleeper"]);
  assert.deepEqual(await names("root"), ["root", "alice", "gvbot_steam", "newcomer", "sleeper"]);
  const { body } = await get(server, "/api/users", withKey(server, "root"));
  for (const user of body) {
    assert.ok(!("api_key" in user) && !("progresses" in user) && !("bookmarked_games" in user) && !("password" in user));
  }
});

serverTest("/api/users/{id} shows one, to whom the list shows it", { users }, async (server) => {
  const list = (await get(server, "/api/users", withKey(server, "root"))).body;
  for (const user of list) {
    assert.deepEqual((await get(server, `/api/users/${user.id}`, withKey(server, "root"))).body, user);
    assert.equal(user.last_seen, null, "nobody was ever here");
  }
  const statuses = async (asker) =>
    Promise.all([1, 2, 3, 4, 5, 6, 7, 0, "99999999999999999999"].map(async (id) => (await get(server, `/api/users/${id}`, withKey(server, asker))).status));
  assert.deepEqual(await statuses("alice"), [200, 200, 404, 404, 200, 404, 404, 404, 404]);
  assert.deepEqual(await statuses("root"), [200, 200, 200, 200, 200, 404, 404, 404, 404]);
  assertError(await get(server, "/api/users/77", withKey(server, "root")), 404, "Not Found");
  assertError(await get(server, "/api/users/2"), 401, "Unauthorized");
});

serverTest("/api/status is open to all, and tells an admin more", { users }, async (server) => {
  const { status, body } = await get(server, "/api/status");
  assert.equal(status, 200);
  assert.match(body.version, /^\d+\.\d+\.\d+$/);
  const common = { status: "HEALTHY", version: body.version, registration_enabled: false, required_registration_fields: [], available_authentication_methods: ["basic"] };
  assert.deepEqual(body, common);
  assert.deepEqual((await get(server, "/api/status", withKey(server, "alice"))).body, common);
  const { uptime, ...rest } = (await get(server, "/api/status", withKey(server, "root"))).body;
  assert.deepEqual(rest, common);
  assert.ok(Number.isInteger(uptime) && uptime >= 0);
});

serverTest("other paths and methods", { users }, async (server) => {
  const moved = await get(server, "/api/health");
  assert.deepEqual([moved.status, moved.headers.get("location")], [308, "/api/status"]);
  for (const path of ["/nothing", "/page", "/page/", "/page/nothing.js", "/api/admin/users/2", "/api/admin/users/x/sessions", "/api", "/api/users/", "/api/users/+2", "/api/users/2/", "/api/users/x/activity", "/api/activities/", "/socket.io", "/socket.io/x", "/api/socket.io/"]) {
    assertError(await get(server, path), 404, "Not Found");
  }
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    const refused = await get(server, "/api/users/me", withKey(server, "alice"), { method });
    assertError(refused, 405, "Method Not Allowed");
    assert.equal(refused.headers.get("allow"), "GET, HEAD");
  }
  const head = await get(server, "/api/status", {}, { method: "HEAD" });
  assert.deepEqual([head.status, head.body], [200, ""]);
});

serverTest("without activities REST goes on", { users, env: { SERVER_ONLINE_ACTIVITIES_DISABLED: "yes" } }, async (server) => {
  assertError(await get(server, "/socket.io/?EIO=4&transport=websocket", withKey(server, "alice")), 404, "Not Found");
  assert.equal((await get(server, "/api/users/me", withKey(server, "alice"))).status, 200);
  assert.equal((await get(server, "/api/users/1", withKey(server, "alice"))).body.last_seen, null);
  for (const path of ["/api/activities", "/api/activities/stream", "/api/users/2/activity", "/api/users/me/activity"]) {
    assertError(await get(server, path, withKey(server, "alice")), 404, "Not Found");
  }
  await server.logged(/SERVER_ONLINE_ACTIVITIES_DISABLED/);
});

serverTest("without SERVER_HOST it listens on IPv4 and IPv6", { users, env: { SERVER_HOST: "" } }, async (server) => {
  for (const host of ["127.0.0.1", "[::1]"]) {
    const response = await fetch(`http://${host}:${server.port}/api/status`);
    assert.equal(response.status, 200, host);
    await response.text();
  }
});

serverTest("no key gets into the log", { users }, async (server) => {
  await get(server, `/socket.io/?EIO=4&transport=websocket&key=${server.key("alice")}`, withKey(server, "alice"));
  await get(server, "/api/users/me", { "X-Api-Key": "f".repeat(64) });
  await server.logged(/is turned away: 400/);
  assert.ok(!server.stderr.includes(server.key("alice")) && !server.stderr.includes("f".repeat(64)));
});

serverTest("a head that is too large is refused, up to there it is not", { users }, async (server) => {
  const withHeaders = (headers) => get(server, "/api/status", headers);
  const many = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-Filler-${i}`, "x"]));
  assert.equal((await withHeaders({ "X-Large": "x".repeat(12 << 10) })).status, 200);
  assert.equal((await withHeaders({ "X-Large": "x".repeat(20 << 10) })).status, 431);
  assert.equal((await withHeaders(many(50))).status, 200);
  assert.equal((await withHeaders(many(70))).status, 431);
  assert.equal(await reached(server, "max_head_bytes"), 2);
});
