// Activities over REST: read by all, and set by those who have no socket.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { WholePlayer as Player } from "./support/player.mjs";
import { exchange, httpRequest, RawSession } from "./support/raw.mjs";
import { ROLE, serverTest } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

const MINE = "/api/users/me/activity";

async function ask(server, path, { name = "alice", method = "GET", body, headers = {} } = {}) {
  const key = name === null ? {} : { "X-Api-Key": server.key(name) };
  const sent = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const response = await fetch(server.url + path, { method, body: sent, headers: { ...key, ...headers } });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : text };
}

const put = (server, body, options) => ask(server, MINE, { method: "PUT", body, ...options });

function assertError({ status, body }, expected, name, message = /./) {
  assert.equal(status, expected, JSON.stringify(body));
  assert.deepEqual({ ...body, message: "" }, { message: "", error: name, statusCode: expected });
  assert.match(body.message, /^[A-Z].*\.$/);
  assert.match(body.message, message);
}

serverTest("a lease is seen by all, as if there were a socket", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const before = Date.now();
  const { status, body } = await put(server, { state: "PLAYING", game_id: 7, details: "The end", ttl_seconds: 60 });
  assert.equal(status, 200);
  assert.match(body.socket_id, /^[\w-]{20}$/);
  assert.ok(body.since >= before - 1 && body.since <= Date.now() + 1, `since ${body.since}`);
  assert.deepEqual(body, { user_id: 1, socket_id: body.socket_id, state: "PLAYING", game_id: 7, details: "The end", since: body.since });
  assert.deepEqual(await bob.next("activity"), { ...body, seq: 1 });
  assert.deepEqual((await ask(server, "/api/activities")).body, [body]);
  assert.deepEqual((await ask(server, "/api/users/1/activity")).body, body);
  assert.deepEqual((await ask(server, MINE)).body, body);
  assert.deepEqual((await Player.join(server, "carol")).snapshot, [body]);

  assert.deepEqual((await put(server, { state: "PLAYING", game_id: 7, details: "The end", ttl_seconds: 60 })).body, body, "said again");
  const withdrawn = await ask(server, MINE, { method: "DELETE" });
  assert.deepEqual([withdrawn.status, withdrawn.body], [204, ""]);
  const offline = await bob.next("activity");
  assert.deepEqual(offline, { user_id: 1, socket_id: body.socket_id, state: "OFFLINE", since: offline.since, seq: 2 });
  assert.deepEqual((await ask(server, "/api/activities")).body, []);
  assert.deepEqual((await ask(server, "/api/users/1/activity")).body, { state: "OFFLINE" });
  assert.equal((await ask(server, MINE, { method: "DELETE" })).status, 204, "there is nothing left to withdraw");
  await bob.ask("get-activities");
  assert.deepEqual(bob.all("activity"), []);
});

serverTest("a lease ends by itself", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const { body } = await put(server, { state: "BUSY", ttl_seconds: 1 });
  const { seq, since, ...offline } = (await bob.next("activity")) && (await bob.next("activity"));
  assert.deepEqual([offline, seq], [{ user_id: 1, socket_id: body.socket_id, state: "OFFLINE" }, 2]);
  assert.ok(since - body.since >= 900, `it was there for ${since - body.since} ms`);

  // Renewed, it lives on; OFFLINE is as good as DELETE.
  await put(server, { state: "ONLINE", ttl_seconds: 1 });
  await put(server, { state: "ONLINE", ttl_seconds: 60 });
  await put(server, { state: "OFFLINE", ttl_seconds: 60 });
  assert.deepEqual([(await bob.next("activity")).state, (await bob.next("activity")).state], ["ONLINE", "OFFLINE"]);
});

serverTest("a lease beside a socket: the highest is told", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const alice = await Player.join(server, "alice");
  const told = async () => {
    const { state, socket_id } = await bob.next("activity");
    return [state, socket_id];
  };
  const lease = (await put(server, { state: "BUSY", ttl_seconds: 60 })).body.socket_id;
  assert.deepEqual(await told(), ["BUSY", lease]);

  // Lower: what everyone knows stays, and the socket is told just that.
  assert.equal((await alice.ask("set-activity", { state: "ONLINE" })).activity.state, "BUSY");
  await alice.ask("set-activity", { state: "PLAYING", game_id: 3 });
  assert.deepEqual(await told(), ["PLAYING", alice.sid]);
  const below = await put(server, { state: "ONLINE", ttl_seconds: 60 });
  assert.deepEqual([below.status, below.body.state, below.body.socket_id], [200, "PLAYING", alice.sid], "a PUT while a socket is higher");
  const sid = alice.sid;
  await alice.leave();
  assert.deepEqual(await told(), ["ONLINE", lease]);
  assert.notEqual(sid, lease);
  await ask(server, MINE, { method: "DELETE" });
  assert.deepEqual(await told(), ["OFFLINE", lease]);
});

serverTest("PUT: what is wrong is named", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const bad = [
    ["", /JSON/], ["{", /JSON/], ["\xff", /JSON/], ["{} {}", /JSON/], ["[]", /object/], ["null", /missing/], ["42", /object/], ['"ONLINE"', /object/],
    [{ ttl_seconds: 60 }, /state/], [{ state: "AWAY", ttl_seconds: 60 }, /state/], [{ state: 1, ttl_seconds: 60 }, /state/],
    [{ state: "PLAYING", game_id: -1, ttl_seconds: 60 }, /game_id/], [{ state: "ONLINE", details: "x".repeat(129), ttl_seconds: 60 }, /details/],
    [{ state: "ONLINE", details: "a\nb", ttl_seconds: 60 }, /details/], [{ state: "ONLINE" }, /ttl_seconds is missing/],
    ...[0, -1, 86_401, 1.5, 1e300, "60", null, true, [60], {}].map((ttl_seconds) => [{ state: "ONLINE", ttl_seconds }, /ttl_seconds/]),
    ['{"state":"ONLINE","ttl_seconds":1,"ttl_seconds":0}', /ttl_seconds/], [`{"x":${"[".repeat(8000)}${"]".repeat(8000)}}`, /nested/],
  ];
  for (const [body, message] of bad) assertError(await put(server, body), 400, "Bad Request", message);
  assert.equal((await put(server, { state: "ONLINE", ttl_seconds: 86_400, user_id: 2, socket_id: "x", since: 1, more: [] })).body.user_id, 1);
  assert.equal((await bob.next("activity")).seq, 1, "nobody was told of the others");
  for (const body of ['{"state":"ONLINE","ttl_seconds":0,"ttl_seconds":1}', '{"state":"ONLINE","\\ud800":1,"ttl_seconds":60.0}', '{"state":"ONLINE","ttl_seconds":6e1}']) {
    assert.equal((await put(server, body)).status, 200, body);
  }
});

serverTest("PUT and DELETE: who may not", { users: ["alice", { name: "newcomer", activated: false }] }, async (server) => {
  const good = { state: "ONLINE", ttl_seconds: 60 };
  for (const method of ["PUT", "DELETE"]) {
    const body = method === "PUT" ? good : undefined;
    assertError(await ask(server, MINE, { method, body, name: null }), 401, "Unauthorized");
    assertError(await ask(server, MINE, { method, body, name: null, headers: { "X-Api-Key": "0".repeat(64) } }), 401, "Unauthorized");
    assertError(await ask(server, MINE, { method, body, name: "newcomer" }), 403, "Forbidden");
    const others = await ask(server, "/api/users/1/activity", { method, body });
    assertError(others, 405, "Method Not Allowed");
    assert.equal(others.headers.get("allow"), "GET, HEAD");
  }
  const posted = await ask(server, MINE, { method: "POST", body: good });
  assertError(posted, 405, "Method Not Allowed");
  assert.equal(posted.headers.get("allow"), "GET, HEAD, PUT, DELETE");
});

serverTest("PUT: a body that is too large, too slow, or not all there", { env: { ENGINE_POST_TIMEOUT_MS: "200" } }, async (server) => {
  const large = JSON.stringify({ state: "ONLINE", ttl_seconds: 60, filler: "x".repeat(16 << 10) });
  assertError(await put(server, large), 413, "Payload Too Large");
  const headers = { "X-Api-Key": server.key("alice") };
  // Announced, it is refused at once.
  const announced = httpRequest({ method: "PUT", path: MINE, headers }).replace("Content-Length: 0", "Content-Length: 999999999");
  assert.equal((await exchange(server, announced)).status, 413);
  // Not announced, when it is too large.
  const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
  const chunked = httpRequest({ method: "PUT", path: MINE, headers }).replace("Content-Length: 0", "Transfer-Encoding: chunked") + chunk + chunk;
  assert.equal((await exchange(server, chunked)).status, 413);
  const slow = httpRequest({ method: "PUT", path: MINE, headers }).replace("Content-Length: 0", "Content-Length: 40") + '{"state":';
  assert.equal((await exchange(server, slow)).status, 408);
  const cut = net.connect(server.port, "127.0.0.1");
  cut.end(slow);
  cut.resume();
  await within(5000, "the end of what was cut off", new Promise((resolve) => cut.on("close", resolve).on("error", resolve)));
  assert.equal((await put(server, { state: "ONLINE", ttl_seconds: 60 })).status, 200);
});

serverTest("reads are answered with a tag, and not twice", {}, async (server) => {
  for (const path of ["/api/activities", "/api/users/1/activity"]) {
    const first = await ask(server, path);
    const tag = first.headers.get("etag");
    assert.match(tag, /^"\d+-\d+"$/);
    for (const known of [tag, `W/${tag}`, `"x", ${tag}`, "*"]) {
      const again = await ask(server, path, { headers: { "If-None-Match": known } });
      assert.deepEqual([again.status, again.body, again.headers.get("etag")], [304, "", tag]);
    }
    assertError(await ask(server, path, { name: null, headers: { "If-None-Match": tag } }), 401, "Unauthorized");
    assert.equal((await ask(server, path, { method: "HEAD" })).headers.get("etag"), tag);
    const { since } = (await put(server, { state: "ONLINE", ttl_seconds: 60, details: path })).body;
    const changed = await ask(server, path, { headers: { "If-None-Match": tag } });
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.get("etag"), tag);
    assert.equal([changed.body].flat()[0].since, since);
  }
  // Of another life, although nothing is different.
  const { headers, body } = await ask(server, "/api/activities");
  await server.stop();
  await server.start();
  const later = await ask(server, "/api/activities", { headers: { "If-None-Match": headers.get("etag") } });
  assert.deepEqual([later.status, later.body], [200, body]);
});

serverTest("a cache that several users share tells them apart", { env: { SERVER_CORS_ALLOWED_ORIGINS: "https://games.example" } }, async (server) => {
  const vary = async (path, options) => new Set((await ask(server, path, options)).headers.get("vary")?.split(/, */));
  for (const path of [MINE, "/api/activities", "/api/users/1/activity", "/api/users", "/api/users/1", "/api/users/me", "/api/status", "/api/admin/sessions"]) {
    for (const options of [{}, { name: null }, { headers: { "If-None-Match": "*" } }]) {
      assert.deepEqual(await vary(path, options), new Set(["X-Api-Key", "X-Socket-Secret", "Authorization", "Origin"]), path);
    }
  }
  assert.deepEqual(await vary("/api/docs/openapi.json"), new Set(["Origin"]));
});

serverTest("who may read", {}, async (server) => {
  for (const path of ["/api/activities", "/api/activities/stream", "/api/users/1/activity", MINE]) {
    assertError(await ask(server, path, { name: null }), 401, "Unauthorized");
    assertError(await ask(server, path, { method: "PATCH" }), 405, "Method Not Allowed");
  }
  assertError(await ask(server, "/api/users/99/activity"), 404, "Not Found");
  assert.deepEqual((await ask(server, "/api/users/2/activity")).body, { state: "OFFLINE" });
});

serverTest("ACTIVITY_PUBLIC_READ opens the reads, and them alone", { env: { ACTIVITY_PUBLIC_READ: "on" } }, async (server) => {
  const { body } = await put(server, { state: "ONLINE", ttl_seconds: 60 });
  assert.deepEqual((await ask(server, "/api/activities", { name: null })).body, [body]);
  assert.deepEqual((await ask(server, "/api/users/1/activity", { name: null })).body, body);
  assertError(await ask(server, "/api/users/99/activity", { name: null }), 404, "Not Found");
  for (const path of [MINE, "/api/users", "/api/users/1"]) assertError(await ask(server, path, { name: null }), 401, "Unauthorized");
  assertError(await put(server, { state: "ONLINE", ttl_seconds: 60 }, { name: null }), 401, "Unauthorized");
});

const HIDDEN = { users: ["alice", { name: "root", role: ROLE.admin }, { name: "gvbot_steam" }, { name: "newcomer", activated: false }, { name: "gone", deleted_at: "2026-11-23T21:43:21.000Z" }] };

for (const open of [false, true]) {
  serverTest(`whom one may not see one cannot ask for, unless everyone is told: ${open ? "anyone may read" : "by key"}`, { ...HIDDEN, env: { ACTIVITY_PUBLIC_READ: String(open) } }, async (server) => {
    const status = async (id, name) => (await ask(server, `/api/users/${id}/activity`, { name })).status;
    const strangers = open ? ["alice", null] : ["alice"];
    for (const name of strangers) {
      for (const hidden of ["gvbot_steam", "newcomer", "gone"]) {
        const answer = await ask(server, `/api/users/${server.id(hidden)}/activity`, { name });
        assertError(answer, 404, "Not Found");
        assert.deepEqual(answer.body, (await ask(server, "/api/users/99/activity", { name })).body);
        assert.equal((await ask(server, `/api/users/${server.id(hidden)}`)).status, 404, "as there");
      }
      assert.equal(await status(server.id("root"), name), 200);
    }
    assert.deepEqual([await status(3, "root"), await status(4, "root"), await status(5, "root")], [200, 200, 404]);
    assert.equal((await ask(server, MINE, { name: "gvbot_steam" })).status, 200, "oneself");

    const { body } = await put(server, { state: "BUSY", ttl_seconds: 60 }, { name: "gvbot_steam" });
    for (const name of strangers) assert.deepEqual((await ask(server, "/api/users/3/activity", { name })).body, body);
    await ask(server, MINE, { method: "DELETE", name: "gvbot_steam" });
    for (const name of strangers) assert.equal(await status(3, name), 404);
  });
}

serverTest("who is removed does nothing any more, by a lease either", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  await put(server, { state: "PLAYING", game_id: 7, ttl_seconds: 3600 });
  assert.equal((await bob.next("activity")).state, "PLAYING");
  await server.command("users", "remove", "alice");
  assert.equal((await bob.next("activity")).state, "OFFLINE");
  assert.deepEqual(await bob.ask("get-activities"), []);
});

serverTest("what was said with a key that is changed holds no longer: on a lost connection, by a lease, before a restart", { users: ["alice", "bob", "carol", "dave"] }, async (server) => {
  const goesOffline = async (player, name) => {
    await server.command("users", "rotate", name);
    const { user_id, state } = await player.next("activity");
    assert.deepEqual([user_id, state], [server.id(name), "OFFLINE"]);
  };
  const carol = await Player.join(server, "carol");
  const alice = await RawSession.join(server, "alice");
  alice.send('42["set-activity",{"state":"BUSY"}]');
  assert.equal((await carol.next("activity")).state, "BUSY");
  alice.socket.resetAndDestroy();
  await server.logged(/closed after/);
  for (const name of ["bob", "dave"]) {
    await put(server, { state: "PLAYING", game_id: 7, ttl_seconds: 3600 }, { name });
    assert.equal((await carol.next("activity")).state, "PLAYING");
  }
  await goesOffline(carol, "alice");
  await goesOffline(carol, "bob");

  await server.stop();
  await server.startAgain();
  await carol.next("disconnect");
  assert.deepEqual((await carol.joined()).map(({ user_id }) => user_id), [server.id("dave")], "nobody else is harmed");
  await goesOffline(carol, "dave");
});

serverTest("a lease whose key is changed before it has come is none", {}, async (server) => {
  const socket = net.connect(server.port, "127.0.0.1");
  server.adopt(() => socket.destroy());
  let answer = "";
  socket.setEncoding("utf8").on("data", (text) => (answer += text));
  const answered = async (pattern) => {
    while (!pattern.test(answer)) await within(5000, `${pattern}, behind ${answer}`, once(socket, "data"));
  };
  const body = JSON.stringify({ state: "BUSY", ttl_seconds: 3600 });
  const request = httpRequest({ method: "PUT", path: MINE, headers: { "X-Api-Key": server.key("alice"), Expect: "100-continue" }, body });
  socket.write(request.slice(0, -body.length));
  // The key was right.
  await answered(/^HTTP\/1\.1 100 /);
  await server.command("users", "rotate", "alice");
  await server.logged(/the users are as/);
  socket.write(body);
  await answered(/HTTP\/1\.1 401 /);
  assert.deepEqual((await ask(server, "/api/activities", { name: "bob" })).body, []);
});
