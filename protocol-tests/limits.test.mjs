// The limits as an operator sets them, on the real binary; each at its edge is in `limits.rs`.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { reached } from "./support/metrics.mjs";
import { Player, WholePlayer } from "./support/player.mjs";
import { ask, POLLING, PollingSession } from "./support/polling.mjs";
import { exchange, httpRequest, RawSession, upgradeRequest } from "./support/raw.mjs";
import { Server, serverTest } from "./support/server.mjs";

const FULL = { code: 4, message: "The server has as many sessions as it may. Try again later." };

for (const transports of [["websocket"], ["polling", "websocket"]]) {
  serverTest(`an official client waits outside until there is room: ${transports}`, { env: { ENGINE_MAX_SESSIONS: "2" } }, async (server) => {
    const alice = await Player.join(server, "alice");
    const bob = await Player.join(server, "bob", { transports: ["polling"] });
    const carol = new Player(server, "carol", { transports });
    await carol.next("connect_error");
    await carol.next("connect_error");

    const headers = { "X-Api-Key": server.key("carol"), Origin: "https://games.example" };
    for (const refused of [await ask(server, { headers }), await exchange(server, upgradeRequest({ headers }))]) {
      assert.equal(refused.status, 503);
      assert.equal(refused.headers["retry-after"], "10");
      assert.equal(refused.headers["access-control-allow-origin"], "*");
      assert.deepEqual(JSON.parse(refused.body), FULL);
    }

    // Those inside are unharmed.
    const { activity } = await bob.ask("set-activity", { state: "BUSY" });
    assert.deepEqual(await alice.next("activity"), activity);
    await alice.leave();
    assert.deepEqual(await carol.joined(), [activity]);
  });
}

serverTest("a POST that does not arrive", { env: { ENGINE_POST_TIMEOUT_MS: "300" } }, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const held = await alice.hold();
  alice.begin();
  assert.equal((await held.answer).body, "1");
  await server.logged(/closed after .*: post timeout/);
  await alice.gone();
});

serverTest("a WebSocket message that does not arrive", { env: { ENGINE_MESSAGE_TIMEOUT_MS: "300" } }, async (server) => {
  const alice = await RawSession.join(server, "alice");
  // The first byte of a text message, past the library.
  alice.socket.write(Buffer.of(0x81));
  assert.equal(await alice.closed(), 1005);
  await server.logged(/closed after .*: message timeout/);
});

/** Options of a server with many users, of whom `known` makes much known. */
const crowd = (count) => ({ users: Array.from({ length: count }, (_, index) => `user ${index}`), env: { ACTIVITY_GRACE_SECONDS: "60" } });

/** Starts again, as if all users had been there before. How many bytes that is. */
async function known(server) {
  const activities = server.users().map(({ id: user_id }) => {
    return { user_id, socket_id: "rR2dmfxU8YsB1TLlKuXH", state: "BUSY", details: "😀".repeat(128), since: Date.now() };
  });
  const text = JSON.stringify(activities);
  await server.stop();
  fs.writeFileSync(path.join(server.folder, "users.activities.json"), text);
  await server.startAgain();
  return Buffer.byteLength(text);
}

for (const [what, packet] of [
  ["chosen users", `42["watch",{"users":[${Array.from({ length: 600 }, (_, index) => index + 1)}]}]`],
  ["all, who change meanwhile", '42["watch",{"all":true}]'],
]) {
  serverTest(`a client that watches ${what} again and again, and takes nothing, costs no more than it may`, crowd(600), async (server) => {
    const bytes = await known(server);
    const stuck = await PollingSession.join(server, "user 0");
    const headers = { "X-Api-Key": server.key("user 1") };
    const before = server.memory();
    let answer;
    for (let i = 0; i < 200 && answer?.status !== 400; i += 1) {
      const body = JSON.stringify({ state: "PLAYING", game_id: i, details: "😀".repeat(128), ttl_seconds: 60 });
      assert.equal((await ask(server, { method: "PUT", path: "/api/users/me/activity", headers, body })).status, 200);
      answer = await stuck.post(packet).answer;
    }
    const grown = server.memory() - before;
    assert.ok(grown < 24 << 10, `${grown} KiB, and 200 snapshots are ${(200 * bytes) >> 10}`);
    await server.logged(/closed after .*: outbound limit/);
  });
}

serverTest("who reads gets all of a large community, twice at once", crowd(4_500), async (server) => {
  const bytes = await known(server);
  assert.ok(bytes > 2_500_000, `${bytes} bytes`);
  for (const transports of [["websocket"], ["polling"]]) {
    const alice = await WholePlayer.join(server, "user 0", { transports });
    assert.equal(alice.snapshot.length, 4_500);
    assert.deepEqual(await alice.ask("get-activities"), await alice.next("activities"));
    await alice.leave();
  }
});

// ---------------------------------------------------------------------------------------------------------------------
// Where a request comes from, and what an address may do

const FORWARDED = JSON.parse(fs.readFileSync(new URL("../fixtures/forwarded.json", import.meta.url), "utf8"));

test("forwarded.json: the log has the real address", async (t) => {
  const rows = FORWARDED.filter(({ peer }) => peer === "127.0.0.1");
  assert.ok(rows.length > 10);
  for (const trusted of new Set(rows.map(({ trusted }) => trusted.join()))) {
    const server = await Server.start({ env: { TRUSTED_PROXIES: trusted } });
    try {
      for (const { headers, client, note } of rows.filter((row) => row.trusted.join() === trusted)) {
        const from = server.stderr.length;
        const request = { path: POLLING, headers: { "X-Api-Key": server.key("alice"), "X-Forwarded-For": headers } };
        assert.equal((await exchange(server, httpRequest(request))).status, 200);
        await server.logged(/opened on polling for .*\n/, from);
        const [, address] = /opened on polling for (.*) \(/.exec(server.stderr.slice(from));
        if (client === null) assert.match(address, /^127\.0\.0\.1:\d+$/, note);
        else assert.equal(address, client, note);
      }
      await server.finish();
    } finally {
      await server.remove();
    }
  }
});

const TRUSTING = { TRUSTED_PROXIES: "127.0.0.1" };

/** Opens a session from an address, as a proxy tells it. */
function openFrom(server, address, name, key = server.key(name)) {
  return ask(server, { headers: { "X-Api-Key": key, "X-Forwarded-For": address } });
}

/** The answer to whoever does too much. */
function assertTooMuch(answer, message) {
  assert.equal(answer.status, 429, answer.body);
  assert.equal(answer.headers["retry-after"], "10");
  assert.match(JSON.parse(answer.body).message, message);
}

serverTest("sessions of an address: the rest of the world is unharmed, and who leaves makes room", { env: { ...TRUSTING, ENGINE_MAX_SESSIONS_PER_ADDRESS: "2" } }, async (server) => {
  const opened = async (address, name) => {
    const answer = await openFrom(server, address, name);
    assert.equal(answer.status, 200, answer.body);
    return JSON.parse(answer.body.slice(1)).sid;
  };
  const first = await opened("198.51.100.1", "alice");
  await opened("198.51.100.1", "bob");
  assertTooMuch(await openFrom(server, "198.51.100.1", "carol"), /^Your address has as many sessions/);
  await opened("198.51.100.2", "carol");
  // An IPv6 address is worth what its owner cannot choose.
  await opened("2001:db8::1", "alice");
  await opened("2001:db8::2", "alice");
  assertTooMuch(await openFrom(server, "2001:db8:0:0:ffff::3", "alice"), /^Your address/);
  await opened("2001:db8:0:1::1", "alice");
  // The proxy itself speaks for nobody, and may be many.
  for (let i = 0; i < 5; i += 1) assert.equal((await ask(server, { headers: { "X-Api-Key": server.key("bob") } })).status, 200);
  // On a WebSocket as well.
  const headers = { "X-Api-Key": server.key("bob"), "X-Forwarded-For": "198.51.100.1" };
  assertTooMuch(await exchange(server, upgradeRequest({ headers })), /^Your address/);
  assert.equal(await reached(server, "max_sessions_per_network"), 3);
  const leaving = { method: "POST", path: `${POLLING}&sid=${first}`, headers: { "X-Api-Key": server.key("alice") }, body: "1" };
  assert.equal((await ask(server, leaving)).status, 200);
  await opened("198.51.100.1", "carol");
});

serverTest("sessions of a user", { env: { ENGINE_MAX_SESSIONS_PER_USER: "2" } }, async (server) => {
  const alice = await Player.join(server, "alice");
  await Player.join(server, "alice", { transports: ["polling"] });
  const refused = await ask(server, { headers: { "X-Api-Key": server.key("alice") } });
  assertTooMuch(refused, /^You have as many sessions/);
  assert.equal(await reached(server, "max_sessions_per_owner"), 1);
  await Player.join(server, "bob");
  await alice.leave();
  await Player.join(server, "alice");
});

serverTest("sessions of a user that shows its key in a CONNECT", { env: { ENGINE_MAX_SESSIONS_PER_USER: "3", AUTH_CONNECT_PAYLOAD_ENABLED: "true" } }, async (server) => {
  const alice = await Player.join(server, "alice");
  // At once: more than there may be.
  const strangers = await Promise.all(Array.from({ length: 10 }, () => RawSession.open(server, null)));
  const connect = `40${JSON.stringify({ apiKey: server.key("alice") })}`;
  for (const stranger of strangers) stranger.send(connect);
  const answers = await Promise.all(strangers.map((stranger) => stranger.frame()));
  const isRefused = (answer) => /^44\{"message":"You have as many sessions as one may\. Close one, or try again later\."\}$/.test(answer);
  assert.equal(answers.filter((answer) => /^40\{"sid"/.test(answer)).length, 2);
  assert.equal(answers.filter(isRefused).length, 8);
  // So are those who show it before.
  const late = new Player(server, "alice");
  assert.match((await late.next("connect_error")).message, /^You have as many sessions/);
  assert.equal(await reached(server, "max_sessions_per_owner"), 9);
  await Player.join(server, "bob");
  await alice.leave();
  const refused = strangers.find((_, index) => isRefused(answers[index]));
  refused.send(connect);
  assert.match(await refused.frame(), /^40\{"sid"/);
});

serverTest("sessions opened in a time, of an address", { env: { ...TRUSTING, ENGINE_MAX_OPENINGS_PER_MINUTE: "3" } }, async (server) => {
  for (let i = 0; i < 3; i += 1) assert.equal((await openFrom(server, "198.51.100.1", "alice")).status, 200);
  assertTooMuch(await openFrom(server, "198.51.100.1", "alice"), /^Your address opens too many/);
  assert.equal(await reached(server, "max_openings_per_minute"), 1);
  assert.equal((await openFrom(server, "198.51.100.2", "alice")).status, 200);
  for (let i = 0; i < 5; i += 1) assert.equal((await ask(server, { headers: { "X-Api-Key": server.key("bob") } })).status, 200);
});

serverTest("wrong keys of an address: slower, then 429, and a right key is right at any time", { env: { ...TRUSTING, AUTH_MAX_FAILURES_PER_MINUTE: "7" } }, async (server) => {
  const wrong = "f".repeat(64);
  const began = performance.now();
  for (let i = 0; i < 5; i += 1) assert.equal((await openFrom(server, "198.51.100.1", "", wrong)).status, 401);
  const slow = performance.now();
  assert.ok(slow - began < 5000, "slips are answered at once");
  for (let i = 0; i < 2; i += 1) assert.equal((await openFrom(server, "198.51.100.1", "", wrong)).status, 401);
  assert.ok(performance.now() - slow > 1900, "guesses are not");
  assertTooMuch(await openFrom(server, "198.51.100.1", "", wrong), /too many wrong keys/);
  assertTooMuch(await ask(server, { path: "/api/users/me", headers: { "X-Api-Key": wrong, "X-Forwarded-For": "198.51.100.1" } }), /too many wrong keys/);
  const guess = `Basic ${Buffer.from("alice:guess").toString("base64")}`;
  assertTooMuch(await ask(server, { path: "/api/users/me", headers: { Authorization: guess, "X-Forwarded-For": "198.51.100.1" } }), /too many wrong keys/);
  assert.equal(await reached(server, "wrong_keys"), 3);
  assert.equal((await openFrom(server, "198.51.100.1", "alice")).status, 200);
  assert.equal((await openFrom(server, "198.51.100.2", "", wrong)).status, 401);
  // No key at all is no guess.
  assert.equal((await ask(server, { headers: { "X-Forwarded-For": "198.51.100.1" } })).status, 401);
  // And nobody is held responsible for what a proxy lets through that nobody has declared.
  for (let i = 0; i < 10; i += 1) assert.equal((await ask(server, { headers: { "X-Api-Key": wrong } })).status, 401);
});

const STRANGERS = { ...TRUSTING, AUTH_CONNECT_PAYLOAD_ENABLED: "true" };
const WRONG = "f".repeat(64);

/** Opens a session without a key, from an address as a proxy tells it; what it is answered to a CONNECT with a payload. */
async function strangerFrom(server, address, transport = "websocket") {
  const headers = address === null ? {} : { "X-Forwarded-For": address };
  const session = await (transport === "websocket" ? RawSession : PollingSession).open(server, null, { headers });
  const shows = async (auth) => {
    await session.send(`40${JSON.stringify(auth)}`);
    return session.frame?.() ?? session.packet();
  };
  return { session, shows };
}

const UNKNOWN_KEY = /^44\{"message":"This API key belongs to no user/;
const TOO_OFTEN = /^44\{"message":"Your address has shown too many wrong keys or passwords\. Try again later\."\}$/;

// An IPv6 address is worth what its owner cannot choose.
for (const [transport, address, neighbour] of [["websocket", "198.51.100.1", "198.51.100.1"], ["polling", "198.51.100.1", "198.51.100.1"], ["websocket", "2001:db8::1", "2001:db8::2"]]) {
  serverTest(`wrong keys of an address count in the payload of a CONNECT as they do in a header: ${transport}, ${address}`, { env: { ...STRANGERS, AUTH_MAX_FAILURES_PER_MINUTE: "7" } }, async (server) => {
    const guesser = await strangerFrom(server, neighbour, transport);
    // This is no guess: it says nothing, or nothing that could be right.
    for (const auth of [{}, { apiKey: null }, { apiKey: 1 }]) assert.match(await guesser.shows(auth), /missing|auth: /);
    const began = performance.now();
    for (let i = 0; i < 2; i += 1) assert.equal((await openFrom(server, address, "", WRONG)).status, 401);
    for (let i = 0; i < 3; i += 1) assert.match(await guesser.shows({ apiKey: WRONG }), UNKNOWN_KEY);
    const slow = performance.now();
    assert.ok(slow - began < 5000, "slips are answered at once");
    for (let i = 0; i < 2; i += 1) assert.match(await guesser.shows({ apiKey: WRONG }), UNKNOWN_KEY);
    assert.ok(performance.now() - slow > 1900, "guesses are not");
    assert.match(await guesser.shows({ apiKey: WRONG }), TOO_OFTEN);
    // Nor may another session guess, or a request.
    const again = await strangerFrom(server, neighbour, transport);
    assert.match(await again.shows({ apiKey: WRONG }), TOO_OFTEN);
    assertTooMuch(await openFrom(server, address, "", WRONG), /too many wrong keys/);
    assert.equal(await reached(server, "wrong_keys"), 3);
    // What is right is right at any time, in the same session.
    assert.match(await again.shows({ apiKey: server.key("alice") }), /^40\{"sid"/);
    assert.equal((await openFrom(server, address, "bob")).status, 200);
    await server.logged(new RegExp(`opened on polling .*, user ${server.id("bob")}\\)`));
    const logged = (status) => server.stderr.split("\n").filter((line) => line.includes(` ${neighbour} is turned away: ${status} `)).length;
    assert.deepEqual([logged(401), logged(429)], address === neighbour ? [7, 3] : [5, 2]);
    assert.match(await (await strangerFrom(server, "198.51.100.2", transport)).shows({ apiKey: WRONG }), UNKNOWN_KEY);
    // And nobody is held responsible for what a proxy lets through that nobody has declared.
    const undeclared = await strangerFrom(server, null, transport);
    for (let i = 0; i < 10; i += 1) assert.match(await undeclared.shows({ apiKey: WRONG }), UNKNOWN_KEY);
  });
}

serverTest("who guesses in a CONNECT and does not wait for the answer has guessed", { env: STRANGERS }, async (server) => {
  for (let i = 0; i < 5; i += 1) assert.equal((await openFrom(server, "198.51.100.1", "", WRONG)).status, 401);
  const from = server.stderr.length;
  const { session } = await strangerFrom(server, "198.51.100.1");
  session.send(`40{"apiKey":"${WRONG}"}`);
  session.ws.close();
  await session.closed();
  await server.logged(/198\.51\.100\.1 is turned away: 401 This API key/, from);
});
