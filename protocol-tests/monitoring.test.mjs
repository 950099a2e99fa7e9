// What an operator sees: metrics, health, and the log.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { metric, metricBecomes, parse, scrape } from "./support/metrics.mjs";
import { Player } from "./support/player.mjs";
import { ask, PollingSession } from "./support/polling.mjs";
import { exchange, RawSession, upgradeRequest } from "./support/raw.mjs";
import { NO_GRACE, Server, serverTest } from "./support/server.mjs";
import { Reader } from "./support/stream.mjs";

const ENDS = 17;
const LIMITS = 26;

serverTest("metrics: every series is there from the start, and by a name of its own", {}, async (server) => {
  const metrics = await scrape(server.url);
  const labels = (name) => [...metrics.get(name).samples.keys()];
  assert.deepEqual(labels("rollcall_sessions"), ["handshake", "polling", "upgrading", "websocket"].map((state) => `state ${state}`));
  assert.deepEqual(labels("rollcall_users"), ["online", "busy", "playing"].map((state) => `state ${state}`));
  assert.deepEqual(labels("socket_io_events_received_total"), ["set-activity", "get-activities", "watch", "other"].map((event) => `event ${event}`));
  assert.equal(labels("rollcall_closes_total").length, ENDS);
  assert.equal(labels("rollcall_limits_hit_total").length, LIMITS);
  assert.deepEqual(labels("rollcall_build_info"), ["version 0.1.0"]);
  assert.ok(metrics.get("process_resident_memory_bytes").samples.get("") > 1e6);
  assert.ok(metrics.get("process_open_fds").samples.get("") > 3);
  const started = metrics.get("process_start_time_seconds").samples.get("");
  assert.ok(Math.abs(Date.now() / 1000 - started) < 30, `started at ${started}`);
  for (const [name, { type }] of metrics) {
    assert.ok(name.endsWith("_total") === (type === "counter") || /^socket_io_.*_bytes$/.test(name), `${name} is a ${type}`);
  }
});

serverTest("metrics: what the system has to be asked is asked once a second, however often others ask", {}, async (server) => {
  const open = () => metric(server, "process_open_fds");
  let before, after;
  // A second may end between two looks, and then the next has only begun.
  for (let looks = 0; looks < 5 && (looks === 0 || after !== before); looks += 1) {
    before = await open();
    await RawSession.open(server, "alice");
    after = await open();
  }
  assert.equal(after, before, "one more is open, and nobody has counted");
  while ((await open()) === before);
});

serverTest("metrics: sessions, users and what they say are counted", NO_GRACE, async (server) => {
  const sessions = (state) => metric(server, "rollcall_sessions", "state", state);
  const users = (state) => metric(server, "rollcall_users", "state", state);
  const silent = await RawSession.open(server, "alice");
  assert.equal(await sessions("handshake"), 1);
  const alice = await Player.join(server, "alice", { transports: ["websocket"] });
  const poller = await PollingSession.join(server, "bob");
  assert.deepEqual([await sessions("handshake"), await sessions("polling"), await sessions("websocket")], [1, 1, 1]);
  assert.equal(await metric(server, "socket_io_connected"), 2);
  assert.equal(await metric(server, "socket_io_connect_total", "namespace", "/"), 2);

  // On its way to a WebSocket, and there.
  const candidate = new RawSession(server, "bob", { path: `/socket.io/?EIO=4&transport=websocket&sid=${poller.handshake.sid}` });
  await once(candidate.ws, "open");
  candidate.send("2probe");
  assert.equal(await candidate.frame(), "3probe");
  assert.deepEqual([await sessions("polling"), await sessions("upgrading")], [0, 1]);
  candidate.send("5");
  candidate.send('42["get-activities"]');
  await candidate.frame();
  assert.deepEqual([await sessions("upgrading"), await sessions("websocket")], [0, 2]);

  await alice.ask("set-activity", { state: "PLAYING", game_id: 7 });
  assert.deepEqual([await users("online"), await users("busy"), await users("playing")], [0, 0, 1]);
  assert.equal((await alice.ask("set-activity", { state: "SLEEPING" })).status, "error");
  const events = async (event) => metric(server, "socket_io_events_received_total", "event", event);
  assert.deepEqual([await events("set-activity"), await events("get-activities"), await events("other")], [2, 1, 0]);
  assert.equal(await metric(server, "socket_io_errors_total", "namespace", "/"), 1);
  assert.equal(await metric(server, "rollcall_activity_changes_total"), 1);
  await metricBecomes(1, server, "rollcall_broadcast_duration_seconds", "_count");
  assert.equal(await metric(server, "rollcall_broadcast_duration_seconds", "_bucket", "le", "+Inf"), 1);

  const before = await scrape(server.url);
  const value = (metrics, name) => metrics.get(name).samples.get("");
  candidate.send('42["nobody listens"]');
  candidate.send('42["get-activities"]');
  while (!(await candidate.frame()).includes("activities"));
  const after = await scrape(server.url);
  const grown = (name) => value(after, name) - value(before, name);
  assert.equal(grown("rollcall_packets_received_total"), 2);
  assert.equal(grown("socket_io_receive_bytes"), '42["nobody listens"]42["get-activities"]'.length);
  assert.equal(grown("rollcall_packets_sent_total"), 1);
  assert.equal(grown("socket_io_events_sent_total"), 1);
  assert.ok(grown("socket_io_transmit_bytes") > 50);
  assert.equal(await events("other"), 1);

  const reader = await Reader.open(server, { name: "bob" });
  await reader.next();
  assert.equal(await metric(server, "rollcall_streams"), 1);
  reader.close();

  silent.destroy();
  await alice.leave();
  await metricBecomes(0, server, "rollcall_sessions", "state", "handshake");
  await metricBecomes(1, server, "socket_io_disconnect_total", "namespace", "/");
  await metricBecomes(2, server, "rollcall_closes_total", "reason", "transport close");
  assert.equal(await users("playing"), 0);
});

serverTest("metrics: handshakes by what became of them", { env: { ENGINE_MAX_SESSIONS: "1" }, users: ["alice", { name: "newcomer", activated: false }] }, async (server) => {
  const result = (of) => metric(server, "rollcall_handshakes_total", "result", of);
  const get = async (status, { query = "", ...headers } = {}) => {
    assert.equal((await ask(server, { headers, path: `/socket.io/?EIO=4&transport=polling${query}` })).status, status);
  };
  await get(401);
  await get(401, { "X-Api-Key": "f".repeat(64) });
  await get(403, { "X-Api-Key": server.key("newcomer") });
  await get(400, { "X-Api-Key": server.key("alice"), query: "&sid=gone" });
  assert.equal((await ask(server, { path: "/socket.io/?EIO=4&transport=carrier-pigeon" })).status, 400);
  await get(200, { "X-Api-Key": server.key("alice") });
  await get(503, { "X-Api-Key": server.key("alice") });
  const counts = Object.fromEntries(await Promise.all(["opened", "bad_request", "unknown_session", "unauthorized", "forbidden", "too_many", "unavailable"].map(async (of) => [of, await result(of)])));
  assert.deepEqual(counts, { opened: 1, bad_request: 1, unknown_session: 1, unauthorized: 2, forbidden: 1, too_many: 0, unavailable: 1 });
  assert.equal(await metric(server, "rollcall_limits_hit_total", "limit", "max_sessions"), 1);
});

serverTest("metrics: without activities there are fewer, and the rest is the same", { env: { SERVER_ONLINE_ACTIVITIES_DISABLED: "true" } }, async (server) => {
  const metrics = await scrape(server.url);
  assert.ok(metrics.has("rollcall_limits_hit_total") && metrics.has("process_open_fds"));
  assert.ok(!metrics.has("rollcall_sessions"));
});

serverTest("metrics: nothing secret, and no name or text of a client's", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", { state: "ONLINE", details: "to be seen by friends" });
  const body = await (await fetch(`${server.url}/metrics`)).text();
  for (const secret of [server.key("alice"), "alice", "to be seen", alice.socket.id, alice.socket.io.engine.id]) assert.ok(!body.includes(secret), secret);
});

for (const [place, listens] of [["127.0.0.1:0", true], ["off", false]]) {
  serverTest(`METRICS_ADDRESS=${place}`, { env: { METRICS_ADDRESS: place } }, async (server) => {
    assert.equal((await fetch(`${server.url}/metrics`)).status, 404);
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
    if (!listens) return;
    await server.logged(/metrics are at http:/);
    const [, url] = /metrics are at (http:\S+)\/metrics/.exec(server.stderr);
    assert.ok((await scrape(url)).has("rollcall_sessions"));
    for (const [probe, status] of [["/healthz", 200], ["/readyz", 200], ["/api/status", 404], ["/socket.io/", 404]]) {
      assert.equal((await fetch(url + probe)).status, status, probe);
    }
    const posted = await fetch(`${url}/metrics`, { method: "POST" });
    assert.deepEqual([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"]);
  });
}

test("METRICS_ADDRESS that is taken: the server says so and does not start", async () => {
  const first = await Server.start();
  try {
    const second = new Server({ env: { METRICS_ADDRESS: `127.0.0.1:${first.port}` } });
    await assert.rejects(second.start(), /METRICS_ADDRESS: cannot listen on 127\.0\.0\.1:\d+: .*; choose another/s);
    await second.remove();
    await first.finish();
  } finally {
    await first.remove();
  }
});

// ---------------------------------------------------------------------------------------------------------------------
// Health

serverTest("health: alive and ready, without a key", {}, async (server) => {
  for (const probe of ["/healthz", "/readyz"]) {
    const response = await fetch(server.url + probe);
    assert.deepEqual([response.status, await response.json()], [200, { status: "ok" }]);
    assert.equal((await fetch(server.url + probe, { method: "HEAD" })).status, 200);
    const posted = await fetch(server.url + probe, { method: "POST" });
    assert.deepEqual([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"]);
  }
});

// ---------------------------------------------------------------------------------------------------------------------
// The log

const lines = (server) => server.stderr.trim().split("\n");

serverTest("the log: one line when a session opens and one when it ends, in words", NO_GRACE, async (server) => {
  const bob = await PollingSession.join(server, "bob");
  await bob.send("1");
  await server.logged(/closed after/);
  const address = String.raw`127\.0\.0\.1:\d+`;
  const [opened, closed] = lines(server).filter((line) => line.includes("session 1"));
  assert.match(opened, new RegExp(`^\\S+Z INFO  session 1 opened on polling for ${address} \\(EIO4, user 2\\)$`));
  assert.match(closed, new RegExp(`^\\S+Z INFO  session 1 closed after \\S+: client closed \\(polling, EIO4, user 2, ${address}\\)$`));
});

serverTest("the log as JSON: what a line speaks of has names", { env: { LOG_FORMAT: "json", TRUSTED_PROXIES: "127.0.0.1" } }, async (server) => {
  const headers = { "X-Api-Key": server.key("bob"), "X-Forwarded-For": "2001:db8::7" };
  const alice = await RawSession.join(server, "bob", { headers });
  alice.send("41");
  alice.ws.close();
  await server.logged(/closed after/);
  await exchange(server, upgradeRequest({ headers: { "X-Api-Key": "wrong", "X-Forwarded-For": "203.0.113.9" } }));
  await server.logged(/turned away/);
  const objects = lines(server).map((line) => JSON.parse(line));
  const find = (text) => objects.find(({ message }) => message.includes(text));
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
  for (const object of objects) {
    assert.match(object.time, time);
    assert.ok(["error", "warn", "info"].includes(object.level));
  }
  const about = ({ time: _, message: __, ...rest }) => rest;
  const session = { session: 1, address: "2001:db8::7", transport: "websocket", eio: 4, user: 2 };
  assert.deepEqual(about(find("opened on")), { level: "info", ...session });
  const { seconds, ...closed } = about(find("closed after"));
  assert.deepEqual(closed, { level: "info", ...session, reason: "transport close" });
  assert.ok(seconds > 0 && seconds < 30);
  const { reason, ...refused } = about(find("turned away"));
  assert.deepEqual(refused, { level: "info", address: "203.0.113.9", status: 401 });
  assert.match(reason, /^[A-Z].*\.$/);
});

serverTest("SIGHUP reads the log's level again, and what is wrong changes nothing", {}, async (server) => {
  const file = path.join(server.folder, "level");
  fs.writeFileSync(file, "warn\n");
  await server.stop();
  server.set("SERVER_LOG_LEVEL_FILE", file);
  await server.startAgain();
  const hangUp = async (level, pattern) => {
    fs.writeFileSync(file, level);
    const from = server.stderr.length;
    server.signal("SIGHUP");
    await server.logged(pattern, from);
  };
  const from = server.stderr.length;
  const alice = await Player.join(server, "alice");
  assert.doesNotMatch(server.stderr.slice(from), /opened/);
  await hangUp("info", /told to read the settings again: the log's level is info/);
  await Player.join(server, "bob");
  await server.logged(/opened on/, from);
  await hangUp("shouting", /the settings stay as they were: SERVER_LOG_LEVEL.*"shouting"/);
  assert.deepEqual(await alice.ask("get-activities"), [], "nobody was disturbed");
});


// ---------------------------------------------------------------------------------------------------------------------
// What docs/ gives to an operator

const DOCS = new URL("../docs/", import.meta.url);

serverTest("the Grafana dashboard asks for metrics that there are", {}, async (server) => {
  const dashboard = JSON.parse(fs.readFileSync(new URL("deploy/grafana.json", DOCS), "utf8"));
  const metrics = await scrape(server.url);
  const names = new Set([...metrics].flatMap(([name, { type }]) => (type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name])));
  const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  assert.ok(expressions.length >= 12);
  for (const expression of expressions) {
    const asked = expression.match(/\b(?:rollcall|socket_io|process)_[a-z_]+/g);
    assert.ok(asked, expression);
    for (const name of asked) assert.ok(names.has(name), `${name} in ${expression}`);
  }
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

test("the metrics page has them all", async () => {
  const server = await Server.start();
  try {
    const page = fs.readFileSync(new URL("monitoring.md", DOCS), "utf8");
    const written = [...page.matchAll(/^\| `([a-z_]+)/gm)].map(([, name]) => name);
    const body = await (await fetch(`${server.url}/metrics`)).text();
    assert.deepEqual(written.sort(), [...parse(body).keys()].sort());
    await server.finish();
  } finally {
    await server.remove();
  }
});

serverTest("the fail2ban filter finds those who guess, and nobody else", { env: { TRUSTED_PROXIES: "127.0.0.1", AUTH_MAX_FAILURES_PER_MINUTE: "5" }, users: ["alice", { name: "newcomer", activated: false }] }, async (server) => {
  const from = (address, headers) => ({ headers: { "X-Forwarded-For": address, ...headers } });
  const wrong = { "X-Api-Key": "f".repeat(64) };
  const guess = { Authorization: `Basic ${Buffer.from("alice:guess").toString("base64")}` };
  for (let i = 0; i < 3; i += 1) await ask(server, from("203.0.113.1", wrong));
  await exchange(server, upgradeRequest(from("2001:db8::1", wrong)));
  for (const headers of [wrong, guess]) await ask(server, { path: "/api/users/me", ...from("203.0.113.2", headers) });
  for (let i = 0; i < 6; i += 1) await ask(server, from("203.0.113.3", wrong));
  // These have not guessed.
  await ask(server, from("203.0.113.4", {}));
  await ask(server, { path: "/api/users/me", ...from("203.0.113.4", {}) });
  await ask(server, from("203.0.113.4", { "X-Api-Key": server.key("newcomer") }));
  await ask(server, from("203.0.113.4", { "X-Api-Key": server.key("alice") }));
  await ask(server, { path: "/socket.io/?EIO=4&transport=polling&sid=gone", ...from("203.0.113.4", { "X-Api-Key": server.key("alice") }) });
  await server.logged(/203\.0\.113\.4 is turned away: 400/);

  assert.deepEqual(await guesses(server, ["203.0.113.1", "2001:db8::1", "203.0.113.2", "203.0.113.3", "203.0.113.4"]), [3, 1, 2, 6, 0]);
});

serverTest("it finds those as well who guess in a CONNECT", { env: { TRUSTED_PROXIES: "127.0.0.1", AUTH_CONNECT_PAYLOAD_ENABLED: "true", AUTH_MAX_FAILURES_PER_MINUTE: "5" }, users: ["alice", { name: "newcomer", activated: false }] }, async (server) => {
  const shows = async (address, ...payloads) => {
    const session = await RawSession.open(server, null, { headers: { "X-Forwarded-For": address } });
    for (const payload of payloads) {
      session.send(`40${payload}`);
      await session.frame();
    }
  };
  const key = (text) => JSON.stringify({ apiKey: text });
  await shows("203.0.113.1", ...Array(3).fill(key("f".repeat(64))));
  await shows("2001:db8::1", key(""));
  await shows("203.0.113.3", ...Array(6).fill(key("f".repeat(64))));
  // These have not guessed.
  await shows("203.0.113.4", "", "{}", '{"apiKey":1}', key(server.key("newcomer")), key(server.key("alice")));
  await server.logged(/203\.0\.113\.4 is turned away: 403/);
  assert.deepEqual(await guesses(server, ["203.0.113.1", "2001:db8::1", "203.0.113.3", "203.0.113.4"]), [3, 1, 6, 0]);
});

serverTest("and those who hang up while the answer takes its time", { env: { TRUSTED_PROXIES: "127.0.0.1", AUTH_CONNECT_PAYLOAD_ENABLED: "true" }, users: ["alice"] }, async (server) => {
  const wrong = (address) => ({ headers: { "X-Forwarded-For": address, "X-Api-Key": "f".repeat(64) } });
  for (const address of ["203.0.113.1", "203.0.113.2"]) {
    for (let i = 0; i < 5; i += 1) await ask(server, wrong(address));
  }
  net.connect(server.port, "127.0.0.1").end(upgradeRequest(wrong("203.0.113.1")));
  const session = await RawSession.open(server, null, { headers: { "X-Forwarded-For": "203.0.113.2" } });
  session.send(`40${JSON.stringify({ apiKey: "f".repeat(64) })}`);
  session.ws.close();
  for (const address of ["203\\.0\\.113\\.1", "203\\.0\\.113\\.2"]) await server.logged(new RegExp(`(${address} is turned away[^]*){6}`));
  assert.deepEqual(await guesses(server, ["203.0.113.1", "203.0.113.2"]), [6, 6]);
});

serverTest("and those who hang up while their password is looked at, who are not heard for ever either", { env: { TRUSTED_PROXIES: "127.0.0.1", AUTH_MAX_FAILURES_PER_MINUTE: "5" }, users: ["alice"] }, async (server) => {
  const child = server.spawn(["users", "password", "alice"]);
  child.stdin.end("correct horse\n");
  assert.deepEqual(await once(child, "close"), [0, null]);
  await server.logged(/the users are as/);
  const signIn = (address, password) => {
    const headers = { "X-Forwarded-For": address, Authorization: `Basic ${Buffer.from(`alice:${password}`).toString("base64")}` };
    return { path: "/api/users/me", headers };
  };
  const { headers } = signIn("203.0.113.1", "guess");
  const request = `GET /api/users/me HTTP/1.1\r\nHost: rollcall\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  const unheard = () => server.stderr.split("203.0.113.1 is turned away: 401 It has sent").length - 1;
  // Some have gone before anybody looks, and cost nothing.
  while (unheard() < 5) {
    const socket = net.connect(server.port, "127.0.0.1");
    socket.resume().end(request);
    await once(socket, "close");
  }
  const { status } = await ask(server, signIn("203.0.113.1", "correct horse"));
  assert.equal(status, 429);
  // To be right is no failure, however often.
  for (let i = 0; i < 6; i += 1) assert.equal((await ask(server, signIn("203.0.113.2", "correct horse"))).status, 200);
  const [guessed, signedIn] = await guesses(server, ["203.0.113.1", "203.0.113.2"]);
  assert.ok(guessed > 5 && signedIn === 0, `${guessed} and ${signedIn}`);
});

/** How many guesses fail2ban finds in the log, of each of these addresses; there are no others. */
async function guesses(server, addresses) {
  const log = path.join(server.folder, "log");
  fs.writeFileSync(log, server.stderr);
  const filter = fileURLToPath(new URL("deploy/fail2ban.conf", DOCS));
  const { stdout } = await promisify(execFile)("fail2ban-regex", ["--print-all-matched", log, filter]);
  const [matched] = stdout.split("Missed line(s)");
  const found = addresses.map((address) => matched.split("\n").filter((line) => line.includes(` ${address} is turned away`)).length);
  const all = found.reduce((sum, count) => sum + count, 0);
  assert.match(stdout, new RegExp(`Lines: \\d+ lines, 0 ignored, ${all} matched`));
  return found;
}
