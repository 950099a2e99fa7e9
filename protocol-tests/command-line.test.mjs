// The commands that ask a server, in pipes and at a terminal, and what docs/command-line.md shows of them, word for word.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { constants } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";
import { Rollcall, rollcall } from "./support/command.mjs";
import { nodeGateway } from "./support/gateway.mjs";
import { WholePlayer } from "./support/player.mjs";
import { proxy } from "./support/bad-proxy.mjs";
import { binary, serverTest } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

const page = fs.readFileSync(new URL("../docs/command-line.md", import.meta.url), "utf8");

// ---------------------------------------------------------------------------------------------------------
// The page.

const examples = [...page.matchAll(/^## ([^\n]+)$|^```sh\n(.*?)^```\n\n```text\n(.*?)^```$/gms)];

test("the page has examples of everything, and what they print", () => {
  assert.equal(examples.filter(([, heading]) => !heading).length, [...page.matchAll(/^```sh$/gm)].length);
});

/** What differs from run to run: times, ids, ports, folders. */
const normal = (text) =>
  text
    .trim()
    .replace(/\b\d{13}\b/g, "TIME")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "TIME")
    .replace(/"socket_id":"[\w-]{20}"/g, '"socket_id":"ID"')
    .replace(/localhost, port \d+|localhost:\d+/g, "localhost")
    .replace(/127\.0\.0\.1:(?!1\b)\d+/g, "127.0.0.1")
    .replace(/\S+\/users\.json/g, "users.json");

let heading;
for (const [, title, example, expected] of examples) {
  if (title) {
    heading = title;
    continue;
  }
  serverTest(`docs/command-line.md, ${heading}: ${example.trim().split("\n").at(-1)}`, {}, async (server) => {
    const env = {
      PATH: process.env.PATH,
      PROGRAM: binary(),
      ROLLCALL_URL: `http://localhost:${server.port}`,
      ROLLCALL_KEY: server.key("alice"),
      USERS_FILE: server.usersFile,
    };
    const child = spawn("sh", ["-c", `exec 2>&1\nrollcall() { "$PROGRAM" "$@"; }\n${example}`], { cwd: server.folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (printed += text));
    try {
      await within(15_000, () => `its end; it printed:\n${printed}`, once(child, "close"));
    } finally {
      // What the shell has started ends with it.
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
    }
    assert.equal(normal(printed), normal(expected));
  });
}

// ---------------------------------------------------------------------------------------------------------
// Watching, from a pipe.

/** Watches a server, until the test is over. */
function watch(t, url, key, { args = [], ...env } = {}) {
  const watcher = new Rollcall(["watch", url, ...args], { ROLLCALL_KEY: key, ...env });
  t.after(() => watcher.stop());
  const line = async () => (await watcher.lines.take("a line", undefined, 10_000)).replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\t/, "");
  return Object.assign(watcher, { line });
}

serverTest("watch: a line for each change, those first who are there already", {}, async (server, t) => {
  const bob = await WholePlayer.join(server, "bob");
  await bob.socket.emitWithAck("set-activity", { state: "PLAYING", game_id: 7, details: "a\u202eb" });
  const watcher = watch(t, server.url, server.key("alice"));
  assert.equal(await watcher.line(), "bob\tPLAYING\t7\ta\ufffdb");
  await bob.socket.emitWithAck("set-activity", { state: "BUSY" });
  assert.equal(await watcher.line(), "bob\tBUSY\t\t");
  // The same once more is no news, and who has no name yet is asked for when it was long ago.
  await bob.socket.emitWithAck("set-activity", { state: "BUSY" });
  const carol = await WholePlayer.join(server, "carol");
  await carol.socket.emitWithAck("set-activity", { state: "ONLINE" });
  assert.equal(await watcher.line(), "carol\tONLINE\t\t");
  bob.socket.disconnect();
  assert.equal(await watcher.line(), "bob\tOFFLINE\t\t");
  assert.equal(watcher.err, "");
});

serverTest("watch: a server that is away is waited for, and tells what has changed meanwhile", { env: { ACTIVITY_GRACE_SECONDS: "1" } }, async (server, t) => {
  const bob = await WholePlayer.join(server, "bob");
  const carol = await WholePlayer.join(server, "carol");
  await bob.socket.emitWithAck("set-activity", { state: "PLAYING", game_id: 7 });
  await carol.socket.emitWithAck("set-activity", { state: "ONLINE" });
  const watcher = watch(t, server.url, server.key("alice"), { args: ["--json"] });
  const told = async () => {
    const { username, state, since } = JSON.parse(await watcher.line());
    assert.ok(since > 1_700_000_000_000, "when it began is told");
    return `${username} ${state}`;
  };
  assert.deepEqual([await told(), await told()].sort(), ["bob PLAYING", "carol ONLINE"]);
  carol.socket.disconnect();
  bob.socket.disconnect();
  assert.deepEqual([await told(), await told()].sort(), ["bob OFFLINE", "carol OFFLINE"]);
  await bob.socket.connect();
  await bob.joined();
  await bob.socket.emitWithAck("set-activity", { state: "BUSY" });
  assert.equal(await told(), "bob BUSY");
  await server.kill();
  await watcher.complains(/http:\/\/127\.0\.0\.1:\d+: the connection is lost.*; trying again in 1 s/);
  await watcher.complains(/cannot connect: Connection refused .*; trying again in 2 s/);
  bob.socket.disconnect();
  await server.startAgain();
  const late = JSON.parse(await watcher.lines.take("what has changed", undefined, 20_000));
  assert.deepEqual([late.username, late.state, late.since], ["bob", "OFFLINE", undefined]);
});

serverTest("watch: a key that is refused ends it, at first and later", {}, async (server, t) => {
  const { status, out, err } = await rollcall(["watch", server.url], { ROLLCALL_KEY: "f".repeat(64) });
  assert.deepEqual([status, out], [1, ""]);
  assert.match(err, /^rollcall: http:\/\/127\.0\.0\.1:\d+: the key is refused \(401\): This API key belongs to no user: it may be mistyped, or replaced\.\n$/);
  const watcher = watch(t, server.url, server.key("alice"));
  const bob = await WholePlayer.join(server, "bob");
  await bob.socket.emitWithAck("set-activity", { state: "BUSY" });
  await watcher.line();
  await server.command("users", "rotate", "alice");
  assert.equal(await watcher.ended(), 1);
  assert.match(watcher.err, /is lost.*\n.*the key is refused \(401\)/);
});

for (const [transport, upgrade] of [["a WebSocket", "pass"], ["long-polling", "strip"]]) {
  const env = { ENGINE_PING_INTERVAL_MS: "150", ENGINE_PING_TIMEOUT_MS: "150", ENGINE_POLL_TIMEOUT_MS: "500" };
  serverTest(`watch: the heartbeat is answered on ${transport}`, { env }, async (server, t) => {
    const watcher = watch(t, await proxy(t, server.port, { upgrade }), server.key("alice"));
    const bob = await WholePlayer.join(server, "bob");
    // Each takes longer than a silent client would be kept.
    for (const [game_id, expected] of [[1, "bob\tPLAYING\t1\t"], [2, "bob\tPLAYING\t2\t"], [3, "bob\tPLAYING\t3\t"]]) {
      await new Promise((resolve) => setTimeout(resolve, 400));
      await bob.socket.emitWithAck("set-activity", { state: "PLAYING", game_id });
      assert.equal(await watcher.line(), expected);
    }
    assert.equal(watcher.err, "");
  });
}

serverTest("watch: whoever stops reading stops it", {}, async (server, t) => {
  const watcher = watch(t, server.url, server.key("alice"));
  watcher.child.stdout.destroy();
  assert.equal(await watcher.ended(), 0);
});

serverTest("watch: the official server as well, by ids", {}, async (server, t) => {
  const gateway = await nodeGateway(t, server.usersFile);
  const socket = io(gateway.url, { extraHeaders: { "X-Api-Key": server.key("bob") }, forceNew: true });
  t.after(() => socket.close());
  await once(socket, "activities");
  await socket.emitWithAck("set-activity", { state: "PLAYING", game_id: 7 });
  const plain = watch(t, gateway.url, server.key("alice"));
  const json = watch(t, gateway.url, server.key("alice"), { args: ["--json"] });
  assert.equal(await plain.line(), "user 2\tPLAYING\t7\t");
  assert.equal(await json.line(), '{"user_id":2,"username":null,"state":"PLAYING","game_id":7}');
  // It does not look at what it is told, either.
  await socket.emitWithAck("set-activity", { state: "\u001b[2J" });
  assert.equal(await plain.line(), "user 2\t\ufffd[2J\t\t");
  const refused = await rollcall(["watch", gateway.url], { ROLLCALL_KEY: "wrong" });
  assert.equal(refused.status, 1);
  assert.match(refused.err, /the key is refused: unknown key\n$/);
  await gateway.stop();
  await plain.complains(/is lost.*; trying again in 1 s/);
});

test("watch: what is no server of ours ends it with a hint", async (t) => {
  const html = await proxy(t, 1, { answer: (_, response) => response.writeHead(200).end("<html>"), upgrade: (_, socket) => socket.end("HTTP/1.1 404 Not Found\r\n\r\n") });
  const { status, err } = await rollcall(["watch", html], { ROLLCALL_KEY: "k" });
  assert.equal(status, 1);
  assert.match(err, /there is no Socket\.IO endpoint \(it answers 200\); `rollcall doctor URL` may know why/);
});

// ---------------------------------------------------------------------------------------------------------
// Setting.

serverTest("set: everyone is told, and another device may say more", {}, async (server) => {
  const env = { ROLLCALL_URL: server.url, ROLLCALL_KEY: server.key("alice") };
  const bob = await WholePlayer.join(server, "bob");
  const told = async () => {
    const { state, game_id, details } = await bob.next("activity");
    return [state, game_id, details];
  };
  assert.equal((await rollcall(["set", "playing", "42", "--details", "é"], env)).status, 0);
  assert.deepEqual(await told(), ["PLAYING", 42, "é"]);
  const alice = await WholePlayer.join(server, "alice");
  await alice.socket.emitWithAck("set-activity", { state: "PLAYING", game_id: 7 });
  assert.deepEqual(await told(), ["PLAYING", 7, undefined]);
  const { status, out, err } = await rollcall(["set", "BUSY", "--for", "90s"], env);
  assert.deepEqual([status, out], [0, "PLAYING 7\n"]);
  assert.match(err, /^everyone is told so because another of your devices says it/);
  const offline = await rollcall(["set", "OFFLINE"], env);
  assert.deepEqual([offline.status, offline.out], [0, "PLAYING 7\n"]);
  alice.socket.disconnect();
  assert.deepEqual(await told(), ["OFFLINE", undefined, undefined]);
  assert.equal((await rollcall(["set", "ONLINE", "--for", "1s"], env)).err, "it holds for 1s; `rollcall set OFFLINE` takes it back\n");
  assert.deepEqual(await told(), ["ONLINE", undefined, undefined]);
  assert.deepEqual(await told(), ["OFFLINE", undefined, undefined], "a second later");
});

serverTest("set: what goes wrong is said", { users: ["alice", { name: "dave", activated: false }] }, async (server, t) => {
  const gateway = await nodeGateway(t, server.usersFile);
  for (const [args, env, says] of [
    [["BUSY"], { ROLLCALL_KEY: "f".repeat(64) }, /the key is refused \(401\): This API key belongs to no user: it may be mistyped, or replaced\./],
    [["BUSY"], { ROLLCALL_KEY: server.key("dave") }, /the server does not take it \(403\): /],
    [["BUSY", "--details", "x".repeat(129)], {}, /the server does not take it \(400\): The request was refused: details must be a text of at most 128/],
    [["BUSY"], { ROLLCALL_URL: gateway.url }, /nothing can be set here \(it answers 404\): this server is not Rollcall/],
    [["BUSY"], { ROLLCALL_URL: "http://127.0.0.1:1" }, /http:\/\/127\.0\.0\.1:1: cannot connect: Connection refused/],
  ]) {
    const { status, out, err } = await rollcall(["set", ...args], { ROLLCALL_URL: server.url, ROLLCALL_KEY: server.key("alice"), ...env });
    assert.deepEqual([status, out], [1, ""], err);
    assert.match(err, says);
  }
});

// ---------------------------------------------------------------------------------------------------------
// At a terminal.

const PYTHON = process.env.ROLLCALL_PYTHON ?? "python3";
const SCREEN = fileURLToPath(new URL("python_screen.py", import.meta.url));

/** `rollcall …` at a terminal of so many rows and columns. */
function terminal(t, [rows, columns], args, env) {
  const child = spawn(PYTHON, [SCREEN, rows, columns, binary(), ...args], { env: { PATH: process.env.PATH, TERM: "xterm", ...env }, stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let seen = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (seen += text));
  const order = (order) => child.stdin.write(`${JSON.stringify(order)}\n`);
  /** Waits until something is shown behind what was looked at before. */
  let from = 0;
  const shows = async (pattern) => {
    const found = async () => {
      for (;;) {
        const match = pattern.exec(seen.slice(from));
        if (match) return match;
        await once(child.stdout, "data");
      }
    };
    const match = await within(10_000, () => `${pattern} behind ${JSON.stringify(seen.slice(from))}`, found());
    from += match.index + match[0].length;
    return match;
  };
  /** Waits until a whole screen is shown that has it; its lines, without colours. */
  const screen = async (wanted) => {
    for (;;) {
      const [, drawn] = await shows(/\x1b\[H((?:(?!\x1b\[H)[^])*?)\x1b\[J/);
      const plain = drawn.replace(/\x1b\[[\d;]*[mK]/g, "");
      if (wanted.test(plain)) return plain.split(/\r*\n/);
    }
  };
  return { order, shows, screen, all: () => seen };
}

const END = /\x1b\[\?25h\x1b\[\?1049l\s*ended (-?\d+) True/;

serverTest("watch at a terminal: drawn anew, in colour, by whatever size, and left as it was", {}, async (server, t) => {
  const bob = await WholePlayer.join(server, "bob");
  await bob.socket.emitWithAck("set-activity", { state: "PLAYING", game_id: 7, details: "\u5b57".repeat(60) });
  const env = { ROLLCALL_KEY: server.key("alice") };
  const { order, shows, screen } = terminal(t, [10, 60], ["watch", server.url], env);
  await shows(/\x1b\[\?1049h\x1b\[\?25l/);
  let lines = await screen(/1 user\b[^]*connected by WebSocket/);
  assert.equal(lines[0], `${server.url}  1 user`);
  assert.match(lines[2], /^● bob {2}PLAYING 7 {13}\d s {2}\u5b57+…$/);
  assert.equal(lines.at(-1), "connected by WebSocket; Ctrl-C ends");
  order({ resize: [3, 12] });
  lines = await screen(/● bob/);
  while (lines[0].length > 12) lines = await screen(/● bob/);
  assert.equal(lines.length, 3);
  assert.match(lines[2], /^● bob {2}PLA.*…$/);
  order({ resize: [10, 60] });
  await bob.socket.emitWithAck("set-activity", { state: "BUSY" });
  await shows(/\x1b\[31mBUSY/);
  order({ type: "\x03" });
  assert.equal((await shows(END))[1], "130");
});

serverTest("watch at a terminal: a signal, a server that goes, a key that is void", {}, async (server, t) => {
  const env = { ROLLCALL_KEY: server.key("alice"), NO_COLOR: "1" };
  const first = terminal(t, [10, 60], ["watch", server.url], env);
  await first.screen(/connected by WebSocket/);
  assert.ok(!/\x1b\[\d*m/.test(first.all()), "no colours are wanted");
  first.order({ signal: constants.signals.SIGTERM });
  assert.equal((await first.shows(END))[1], "143");

  const second = terminal(t, [10, 100], ["watch", server.url], env);
  await second.screen(/connected by WebSocket/);
  await server.stop();
  await second.screen(/is lost; trying again in 1 s; Ctrl-C ends/);
  await server.startAgain();
  await second.screen(/connected by WebSocket/);
  await server.command("users", "remove", "alice");
  await second.shows(/\x1b\[\?25h\x1b\[\?1049l/);
  await second.shows(/the key is refused \(401\)/);
  assert.equal((await second.shows(/ended (\d+) True/))[1], "1");
});

serverTest("the key is asked for at a terminal, and not shown", {}, async (server, t) => {
  const { order, shows, screen, all } = terminal(t, [10, 60], ["watch", server.url], {});
  await shows(/API key for http:\/\/127\.0\.0\.1:\d+: /);
  order({ secret: `${server.key("alice")}\n` });
  await screen(/connected by WebSocket/);
  assert.ok(!all().includes(server.key("alice")), "the key is shown");
  order({ type: "\x03" });
  assert.equal((await shows(END))[1], "130");
});
