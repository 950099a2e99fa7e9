// What nobody may learn: keys, passwords and session ids are in no log at any level, in no error and in no list of processes; files are their owner's
// alone; and what peers say cannot forge a line of the log, or command a terminal.

import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { WAYS } from "./support/believer.mjs";
import { Player } from "./support/player.mjs";
import { PollingSession } from "./support/polling.mjs";
import { exchange, httpRequest, RawSession, upgradeRequest } from "./support/raw.mjs";
import { serverTest } from "./support/server.mjs";

const users = ["alice", "bob", { name: "dave", activated: false }, { name: "erin", deleted_at: "2026-01-01T00:00:00.000Z" }];
const PASSWORD = "correct horse battery staple";
const WRONG_KEY = "5ec2e7".repeat(11).slice(0, 64);
const WRONG_PASSWORD = "wrong horse";

const TRACE = { SERVER_LOG_LEVEL: "trace", AUTH_CONNECT_PAYLOAD_ENABLED: "true", TRUSTED_PROXIES: "127.0.0.0/8" };

/** A line of the log, with nothing in it that is not to be seen. */
const LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (ERROR|WARN |INFO |DEBUG|TRACE) [^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;

/** What was logged is whole lines, each of which is one event of ours. */
function isClean(log) {
  for (const line of log.trimEnd().split("\n")) assert.match(line, LINE, JSON.stringify(line));
}

const basic = (name, password) => ({ Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` });

serverTest("keys, passwords and session ids are neither in the log, at any level, nor in an error, nor in the list of processes", { users, env: TRACE }, async (server) => {
  const child = server.spawn(["users", "password", "alice"]);
  child.stdin.end(`${PASSWORD}\n`);
  assert.deepEqual(await once(child, "close"), [0, null]);
  await server.logged(/the users are as/);
  const said = [];
  const ask = async (bytes) => {
    const { status, headers, body = "" } = await exchange(server, bytes);
    if (status >= 300) said.push(JSON.stringify(headers), body);
    return status;
  };
  const key = (name) => ({ "X-Api-Key": server.key(name) });

  // Who comes in, and goes.
  const secrets = [PASSWORD, WRONG_KEY, WRONG_PASSWORD, ...users.map((user) => server.key(user.name ?? user))];
  for (const way of Object.keys(WAYS)) {
    for (const options of [{}, { extraHeaders: {}, auth: { apiKey: server.key("alice") } }]) {
      const alice = await Player.join(server, "alice", { ...WAYS[way], ...options });
      if (way === "upgrade") await alice.upgraded();
      secrets.push(alice.socket.io.engine.id);
      assert.equal((await alice.ask("set-activity", { state: "BUSY" })).status, "ok");
      await alice.leave();
    }
  }
  // Sessions that end for each kind of fault, with the id where it does not belong as well.
  const polling = await PollingSession.join(server, "bob");
  secrets.push(polling.handshake.sid);
  const { sid } = polling.handshake;
  for (const packet of ["9", `4${sid}`, `42["${sid}"]`, `40/${sid},{"key":"${server.key("bob")}"}`]) {
    const one = await PollingSession.join(server, "bob");
    secrets.push(one.handshake.sid);
    await one.post(packet).answer;
    const other = await RawSession.join(server, "bob");
    secrets.push(other.handshake.sid);
    other.send(packet);
    // Which namespaces and events there are is no rule of the protocol.
    if (packet.startsWith("40/")) await other.frame();
    else if (!packet.startsWith("42")) await other.closedAtLast();
    other.destroy();
  }
  (await polling.probed()).destroy();
  assert.equal(await ask(httpRequest({ path: polling.path, headers: key("alice") })), 403);
  await polling.send("1");

  // Who does not come in, and who asks for what there is not.
  const right = { alice: key("alice"), dave: key("dave"), erin: key("erin"), wrong: { "X-Api-Key": WRONG_KEY }, two: { "X-Api-Key": [server.key("alice"), WRONG_KEY] } };
  const statuses = new Set();
  for (const headers of [...Object.values(right), basic("alice", PASSWORD), basic("alice", WRONG_PASSWORD), basic(server.key("alice"), PASSWORD), { Authorization: `Bearer ${server.key("alice")}` }]) {
    for (const where of ["/api/users/me", `/api/users/${server.key("alice")}`, `/${PASSWORD.replaceAll(" ", "%20")}`, "/socket.io/?EIO=5&transport=polling", `/socket.io/?EIO=4&transport=polling&sid=${sid}`, `/socket.io/?EIO=4&transport=${server.key("alice")}&apiKey=${server.key("alice")}`]) {
      statuses.add(await ask(httpRequest({ path: where, headers })));
    }
    await ask(upgradeRequest({ path: `/socket.io/?EIO=4&transport=websocket&sid=${sid}`, headers: { ...headers, "Sec-WebSocket-Version": "7" } }));
  }
  for (const status of [200, 400, 401, 403, 404]) assert.ok(statuses.has(status), `nothing was answered ${status}`);
  await ask(`GET / HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${server.key("alice")}\x01\r\n\r\n`);
  // What everyone on the machine may see of it.
  const listed = fs.readFileSync(`/proc/${server.pid}/cmdline`, "utf8");
  assert.match(listed, /rollcall/);
  await server.stop();

  for (const secret of secrets) {
    assert.ok(secret.length > 8);
    for (const text of [server.stderr, server.stdout, listed, ...said]) assert.ok(!text.includes(secret), `${secret} is in ${text}`);
  }
  assert.match(server.stderr, / is turned away: 401 /);
  assert.match(server.stderr, /: the client sent /);
  isClean(server.stderr);
});

/** Colours, another title, a new line that looks like ours, what is written from right to left, and what is no UTF-8 alone. */
const HOSTILE = ["\x1b[31mred", "\x1b]0;title\x07", "\r\n2026-01-01T00:00:00Z ERROR forged", "\n2026-01-01T00:00:00Z ERROR forged", "\t\x00\x7f\x9b31m", "\u202eevil\u2066", "\u2028\u2029", "%0d%0a%1b[31m"];

serverTest("what peers say cannot forge a line of the log, or command a terminal", { users, env: TRACE }, async (server) => {
  const key = { "X-Api-Key": server.key("alice") };
  const bytes = (text) => Buffer.from(text, "utf8");
  for (const evil of HOSTILE) {
    const encoded = encodeURIComponent(evil);
    for (const request of [
      httpRequest({ path: `/${evil}`, headers: key }),
      httpRequest({ path: `/${encoded}`, headers: key }),
      httpRequest({ path: `/api/users/${encoded}`, headers: key }),
      httpRequest({ path: `/socket.io/?EIO=${encoded}&transport=${encoded}&sid=${encoded}`, headers: key }),
      httpRequest({ path: `/socket.io/?EIO=4&transport=polling&sid=${evil}`, headers: key }),
      httpRequest({ method: evil, path: "/", headers: key }),
      ...["X-Api-Key", "Authorization", "Origin", "Host", "User-Agent", "X-Forwarded-For", "Upgrade", "Cookie", "Content-Type", "Last-Event-ID"].map((name) => httpRequest({ path: "/socket.io/?EIO=4&transport=polling", headers: { ...key, [name]: evil } })),
      httpRequest({ path: "/api/users/me", headers: basic(evil, evil) }),
      httpRequest({ method: "PUT", path: "/api/users/me/activity", headers: key, body: JSON.stringify({ state: evil, details: evil, ttl_seconds: 1 }) }),
      upgradeRequest({ headers: { ...key, "Sec-WebSocket-Protocol": evil, "Sec-WebSocket-Key": evil } }),
    ]) {
      // Whatever is answered, if anything is: what counts is what is logged.
      await exchange(server, bytes(request)).catch(() => {});
    }
    for (const packet of [evil, `4${evil}`, `40/${evil},`, `40${JSON.stringify({ apiKey: evil })}`, `42["${evil}"]`, `42[${JSON.stringify(evil)},${JSON.stringify(evil)}]`, `42["set-activity",${JSON.stringify({ state: evil, details: evil })}]`, `42${evil}`]) {
      const session = await RawSession.join(server, "alice");
      session.send(packet);
      session.destroy();
      const polling = await PollingSession.open(server, "alice");
      await polling.post(packet).answer;
    }
  }
  const alice = await Player.join(server, "alice");
  await alice.leave();
  await server.stop();
  assert.doesNotMatch(server.stderr, /^2026-01-01T00:00:00Z/m);
  assert.doesNotMatch(server.stdout, /forged/);
  isClean(server.stderr);
  // It did log them.
  assert.ok(server.stderr.split("\n").length > 10 * HOSTILE.length, server.stderr);
});

// ---------------------------------------------------------------------------------------------------------
// Files.

/** Where everyone may do everything with new files, unless their maker forbids it. */
const OPEN = ["sh", "-c", 'umask 000; exec "$@"', "sh"];

serverTest("files are their owner's alone, whatever the mask, and whatever they were", { users, within: OPEN, timeout: 60_000 }, async (server) => {
  const modes = () => Object.fromEntries(fs.readdirSync(server.folder).map((name) => [name, (fs.statSync(path.join(server.folder, name)).mode & 0o777).toString(8)]));
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", { state: "BUSY" });
  await alice.ask("set-activity", { state: "OFFLINE" });
  await alice.ask("set-activity", { state: "BUSY" });
  await server.run(["users", "add", "dora"], { within: OPEN });
  await server.stop();
  const all = ["users.activities.json", "users.activities.json.lock", "users.json", "users.json.lock", "users.last-seen.json"];
  const secret = Object.fromEntries(all.map((name) => [name, "600"]));
  assert.deepEqual(modes(), secret);

  // As an editor, a backup, or another program may have left them.
  for (const name of all) fs.chmodSync(path.join(server.folder, name), 0o644);
  await server.startAgain();
  await server.logged(/WARN {2}\S*users\.json can be read by every user of this machine, and has keys in it: chmod 600/);
  await server.run(["users", "add", "fred"], { within: OPEN });
  await server.stop();
  // A lock says nothing.
  for (const name of all.filter((name) => !name.endsWith(".lock"))) assert.equal(modes()[name], "600", name);
});

serverTest("the first start, with a mask that hides nothing, makes private files", { users, within: OPEN }, async (server) => {
  await server.stop();
  for (const name of fs.readdirSync(server.folder)) fs.rmSync(path.join(server.folder, name));
  server.set("USERS_FILE", path.join(server.folder, "data", "users.json"));
  await server.start();
  assert.match(server.stdout, /^ {4}[0-9a-f]{64}$/m);
  assert.equal(fs.statSync(path.join(server.folder, "data")).mode & 0o777, 0o700);
  assert.equal(fs.statSync(path.join(server.folder, "data", "users.json")).mode & 0o777, 0o600);
  assert.doesNotMatch(server.stderr, /[0-9a-f]{64}/, "the key is printed, and not logged");
});
