// What the machine does to the server: descriptors, room and memory run out, files cannot be written, the clock jumps, and another server is there already.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Player, WholePlayer } from "./support/player.mjs";
import { PollingSession } from "./support/polling.mjs";
import { RawSession } from "./support/raw.mjs";
import { Server, serverTest, STOP_DEADLINE_MS } from "./support/server.mjs";
import { until, within } from "./support/wait.mjs";

const users = ["alice", "bob", "carol"];
const playing = { state: "PLAYING", game_id: 7 };

const file = (server, what) => path.join(server.folder, `users.${what}.json`);
const read = (server, what) => JSON.parse(fs.readFileSync(file(server, what), "utf8"));
const drafts = (server) => fs.readdirSync(server.folder).filter((name) => name.startsWith("."));
const lines = (server, pattern) => server.stderr.split("\n").filter((line) => pattern.test(line));

async function get(server, where, name = "bob") {
  const response = await fetch(server.url + where, { headers: { "X-Api-Key": server.key(name) } });
  assert.equal(response.status, 200);
  return response.json();
}

// ---------------------------------------------------------------------------------------------------------
// Descriptors.

const DESCRIPTORS = 48;

serverTest("descriptors run out: those inside are unharmed, the log says so once, and it goes on when there are some", { users, within: ["prlimit", `--nofile=${DESCRIPTORS}`], timeout: 60_000 }, async (server, t) => {
  const alice = await Player.join(server, "alice");
  const agent = new http.Agent({ keepAlive: true });
  const bob = await PollingSession.join(server, "bob", { agent });
  let held = await bob.hold();
  const crowd = [];
  const come = () => {
    const socket = net.connect(server.port, "127.0.0.1").on("error", () => {});
    crowd.push(socket);
    return socket;
  };
  for (let i = 0; i < 2 * DESCRIPTORS; i += 1) come();
  await server.logged(/ERROR no connection can be accepted .*\(ulimit -n\)/);
  await until("all descriptors to be in use", (open) => open >= DESCRIPTORS, () => server.descriptors());

  // Those inside: both transports, and both ways.
  const before = server.processorTime();
  const since = performance.now();
  for (let game_id = 1; game_id <= 5; game_id += 1) {
    assert.equal((await alice.ask("set-activity", { state: "PLAYING", game_id })).status, "ok");
    assert.match((await held.answer).body, new RegExp(`"game_id":${game_id}[,}]`));
    held = await bob.hold();
    // Some go, and some of those who wait get their places.
    for (let i = 0; i < 3; i += 1) {
      crowd.shift().destroy();
      come();
    }
    await pause(300);
  }
  const share = (server.processorTime() - before) / (performance.now() - since);
  t.diagnostic(`${(100 * share).toFixed(1)} % of a processor`);
  assert.ok(share < 0.25, `it is busy: ${share}`);
  // A look at the users needs a descriptor, too.
  await server.command("users", "rotate", "carol");
  await server.logged(/ERROR .*Too many open files.*The users stay as they were/);
  assert.equal(lines(server, /no connection can be accepted/).length, 1, "once, though some were accepted in between");

  for (const socket of crowd) socket.destroy();
  await server.logged(/INFO {2}the users are as .* says now/);
  const [{ api_key: key }] = server.users().filter(({ username }) => username === "carol");
  const carol = new Player(server, "carol", { extraHeaders: { "X-Api-Key": key } });
  assert.equal((await carol.joined())[0].game_id, 5);
  assert.deepEqual(alice.all("disconnect"), []);
  held.request.destroy();
  agent.destroy();
});

// ---------------------------------------------------------------------------------------------------------
// Room.

/** Where a write beyond the limit fails, and does not end the program, as on a disk that is full. */
const LIMITED = ["env", "--ignore-signal=XFSZ"];
const fill = (server) => execFileSync("prlimit", [`--pid=${server.pid}`, "--fsize=0:unlimited"]);
const clear = (server) => execFileSync("prlimit", [`--pid=${server.pid}`, "--fsize=unlimited:unlimited"]);

/** Where files cannot be written, the server goes on, says so once, leaves the old ones whole, and writes again when it can. */
async function survives(server, hinder, release, says) {
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", playing);
  await alice.next("activity");
  await until("what is known to be written", ([known]) => known?.state === "PLAYING", () => (fs.existsSync(file(server, "activities")) ? read(server, "activities") : []), 15_000);
  const good = fs.readFileSync(file(server, "activities"), "utf8");
  const usersBefore = fs.readFileSync(server.usersFile, "utf8");

  await hinder(server);
  await alice.ask("set-activity", { state: "BUSY" });
  await until("the warning", (found) => found.length > 0, () => lines(server, /WARN .*users\.activities\.json cannot be written/), 15_000);
  assert.match(lines(server, /WARN .*activities/)[0], says);
  await alice.ask("set-activity", { state: "ONLINE" });
  // As long as one more try takes, at least.
  await pause(6000);
  const bob = await Player.join(server, "bob");
  assert.equal(bob.snapshot[0].state, "ONLINE");
  assert.equal(lines(server, /activities\.json cannot be written/).length, 1);
  assert.equal(fs.readFileSync(file(server, "activities"), "utf8"), good);
  assert.equal(fs.readFileSync(server.usersFile, "utf8"), usersBefore);
  assert.deepEqual(drafts(server), []);

  await release(server);
  await until("it to be written again", ([known]) => known?.state === "ONLINE", () => read(server, "activities"), 15_000);
  await server.logged(/INFO {2}\S*users\.activities\.json is written again/);
}

describe("files that cannot be written", { concurrency: true }, () => {
  serverTest("no room: the server goes on, says so once, and writes when there is some", { users, timeout: 60_000 }, async (server) => {
    await survives(server, fill, clear, /File too large \(os error 27\) \(files must be allowed to be larger: ulimit -f\)\. It is tried again until it can/);
    fill(server);
    // At its end, too.
    await server.stop();
    assert.equal(read(server, "activities")[0].state, "ONLINE");
    assert.deepEqual(drafts(server), []);
  });

  serverTest("a folder that may not be written: the server goes on, says so once, and writes when it may", { users, timeout: 60_000 }, async (server) => {
    await server.stop();
    // Root may write wherever it likes.
    await server.dropRoot();
    await server.start();
    const mode = (mode) => () => fs.chmodSync(server.folder, mode);
    try {
      await survives(server, mode(0o500), mode(0o700), /Permission denied \(os error 13\): it and its folder must belong to the user that runs the server/);
      mode(0o500)();
      const before = fs.readFileSync(server.usersFile, "utf8");
      const { code, said } = await server.run(["users", "add", "dora"]);
      assert.equal(code, 1);
      assert.match(said, /^rollcall: cannot (lock|write) the user file \S+: Permission denied .*\n$/);
      assert.equal(fs.readFileSync(server.usersFile, "utf8"), before);
    } finally {
      mode(0o700)();
    }
  });
});

serverTest("no room: the command line says so, and leaves the users as they are", { users }, async (server) => {
  await server.command("users", "activate", "alice");
  const before = fs.readFileSync(server.usersFile, "utf8");
  for (const [verb, name] of [["add", "dora"], ["rotate", "alice"], ["remove", "bob"]]) {
    const { code, said } = await server.run(["users", verb, name], { within: [...LIMITED, "prlimit", "--fsize=10"] });
    assert.equal(code, 1, said);
    assert.match(said, /^rollcall: cannot write the user file \S+users\.json: File too large \(os error 27\) \(files must be allowed to be larger: ulimit -f\)\n$/);
    assert.equal(fs.readFileSync(server.usersFile, "utf8"), before);
    assert.deepEqual(drafts(server), []);
  }
  await server.command("users", "add", "dora");
});

serverTest("no room at the first start: it says so, and leaves no half of a file", { users }, async (server) => {
  await server.stop();
  fs.rmSync(server.usersFile);
  const { code, said } = await server.run([], { within: [...LIMITED, "prlimit", "--fsize=10"] });
  assert.equal(code, 1, said);
  assert.match(said, /rollcall: cannot write the user file \S+: File too large/);
  assert.deepEqual(fs.readdirSync(server.folder).filter((name) => name.includes("users.json") && !name.endsWith(".lock")), []);
});

/** Commands on a disk of 64 KiB, which is root's to make, in a view of the file system of its own. */
const SMALL_DISK = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k none "$PLACE" && cp "$USERS_FILE" "$PLACE" && cd "$PLACE" && USERS_FILE=$PLACE/users.json && export USERS_FILE && head -c 65536 /dev/zero > ballast 2>/dev/null; before=$(cksum users.json); "$@"; code=$?; [ "$before" = "$(cksum users.json)" ] || exit 99; exit $code', "sh"];

function canMount() {
  try {
    execFileSync("unshare", ["-m", "mount", "-t", "tmpfs", "none", "/mnt"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

serverTest("a disk that is full: the command line says so, and leaves the users as they are", { users }, async (server, t) => {
  if (!canMount()) return t.skip("only root may make a disk, and not everywhere");
  const place = path.join(server.folder, "disk");
  fs.mkdirSync(place);
  server.set("PLACE", place);
  const { code, said } = await server.run(["users", "add", "dora"], { within: SMALL_DISK });
  assert.equal(code, 1, said);
  assert.match(said, /^rollcall: cannot (write|lock) the user file \S+: No space left on device \(os error 28\) \(make room where its folder is\)\n$/);
});

// ---------------------------------------------------------------------------------------------------------
// Memory.

/** Runs within so many MiB of memory for data until `body` is done, or the program ends by itself: then how, and what it said last. */
async function limited(mib, env, body) {
  const server = new Server({ users, env, within: ["prlimit", `--data=${mib << 20}`] });
  try {
    return await body(server);
  } finally {
    await server.remove();
  }
}

// A trace takes memory of its own.
for (const trace of ["0", "1"]) {
  test(`with too little memory to start it does not, and says why (RUST_BACKTRACE=${trace})`, { timeout: 60_000 }, async () => {
    const runs = [];
    for (let mib = 2; mib <= 16; mib += 1) {
      await limited(mib, { RUST_BACKTRACE: trace }, async (server) => {
        const { code, signal, said } = await untilItEnds(server);
        runs.push(code === 0);
        if (code === 0) return;
        assert.ok(code === 1 || signal === "SIGABRT", `${mib} MiB: ${code}, ${signal}: ${said}`);
        assert.match(said, /^(memory allocation of .*|rollcall: (cannot start another thread: .*|it cannot go on; .*))$/m);
      });
    }
    assert.deepEqual([runs[0], runs.at(-1)], [false, true], "the least does not suffice, and the most does");
  });
}

/** Starts it, tells it to stop once it listens, and waits for its end, which must come in time. */
async function untilItEnds(server) {
  const child = server.spawn([], server.within);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (said += text));
  child.stdout.setEncoding("utf8").on("data", (text) => text.startsWith("Rollcall listening") && child.kill("SIGTERM"));
  try {
    const [code, signal] = await within(STOP_DEADLINE_MS, `its end; it said ${said}`, once(child, "close"));
    return { code, signal, said };
  } finally {
    child.kill("SIGKILL");
  }
}

test("when memory runs out, it ends, and does not stay deaf", { timeout: 60_000 }, async () => {
  await limited(20, {}, async (server) => {
    const child = server.spawn([], server.within);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (said += text));
    const ended = once(child, "close");
    const [line] = await once(child.stdout.setEncoding("utf8"), "data");
    const port = Number(/:(\d+)$/m.exec(line)[1]);
    const crowd = [];
    try {
      // Half a request each, for which there is a buffer.
      for (let come = 0; come < 5000 && child.exitCode === null && child.signalCode === null; come += 1) {
        const socket = net.connect(port, "127.0.0.1").on("error", () => {});
        socket.write("GET / HTTP/1.1\r\n");
        crowd.push(socket);
        if (come % 50 === 0) await pause(10);
      }
      const [code, signal] = await within(STOP_DEADLINE_MS, "its end", ended);
      assert.deepEqual([code, signal], [null, "SIGABRT"], said);
      assert.match(said, /^memory allocation of /m);
    } finally {
      child.kill("SIGKILL");
      for (const socket of crowd) socket.destroy();
    }
  });
});

// ---------------------------------------------------------------------------------------------------------
// The clock.

const DAY_MS = 86_400_000;

/** The library that tells a program another time. */
function fakeTime() {
  const folder = "/usr/lib";
  const found = fs.readdirSync(folder).map((triple) => path.join(folder, triple, "faketime/libfaketime.so.1")).find((file) => fs.existsSync(file));
  return found ?? assert.fail("libfaketime is missing: apt-get install faketime, as protocol-tests/run does");
}

/** A test with a server whose clock is `set` to be off by days. The clock that only goes forward does so. */
function clockTest(name, body) {
  const clock = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "rollcall-clock-")), "clock");
  const set = (days) => fs.writeFileSync(clock, `${days < 0 ? "-" : "+"}${Math.abs(days)}d`);
  const env = {
    LD_PRELOAD: fakeTime(),
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
    ACTIVITY_GRACE_SECONDS: "1",
    ENGINE_PING_INTERVAL_MS: "200",
    ENGINE_PING_TIMEOUT_MS: "400",
    ENGINE_POLL_TIMEOUT_MS: "400",
  };
  set(0);
  serverTest(name, { users, env, timeout: 60_000 }, async (server) => {
    try {
      await body(server, set);
    } finally {
      fs.rmSync(path.dirname(clock), { recursive: true });
    }
  });
}

/** That `ms` is the time of a moment ago on a clock that is off by `days`. */
function isNow(ms, days) {
  const age = Date.now() + days * DAY_MS - ms;
  assert.ok(age > -2000 && age < 30_000, `${new Date(ms).toISOString()} is ${age} ms ago`);
}

const lease = (server, name, seconds) => fetch(`${server.url}/api/users/me/activity`, {
  method: "PUT",
  headers: { "X-Api-Key": server.key(name), "Content-Type": "application/json" },
  body: JSON.stringify({ state: "BUSY", ttl_seconds: seconds }),
});

/** What is told next of a user: `[state, ms, activity]`, and how long that took. */
async function told(player, userId) {
  const start = performance.now();
  for (;;) {
    const activity = await player.next("activity", 10_000);
    if (activity.user_id === userId) return [activity.state, performance.now() - start, activity];
  }
}

describe("the clock jumps", { concurrency: true }, () => {
  for (const days of [1, -1]) {
    clockTest(`the clock jumps by ${days} day: heartbeats, leases, grace and users go on as if it had not`, async (server, set) => {
      const alice = await WholePlayer.join(server, "alice");
      const bob = await WholePlayer.join(server, "bob", { transports: ["polling"], upgrade: false });
      assert.equal((await lease(server, "carol", 3)).status, 200);
      isNow((await told(alice, server.id("carol")))[2].since, 0);

      set(days);
      await bob.ask("set-activity", playing);
      const [, , { since }] = await told(alice, server.id("bob"));
      isNow(since, days);
      assert.equal((await get(server, "/api/activities")).length, 2, "the lease holds");
      const [state, ms, { since: ended }] = await told(alice, server.id("carol"));
      assert.ok(state === "OFFLINE" && ms > 1000 && ms < 8000, `${state} after ${ms} ms`);
      isNow(ended, days);
      // Many heartbeats later.
      assert.deepEqual([...alice.all("disconnect"), ...bob.all("disconnect")], []);

      // A loss is a leave after the grace, and not before.
      const dora = await RawSession.open(server, "carol");
      dora.send("40");
      dora.send('42["set-activity",{"state":"BUSY"}]');
      await told(alice, server.id("carol"));
      dora.destroy();
      const [gone, late, { since: seen }] = await told(alice, server.id("carol"));
      assert.ok(gone === "OFFLINE" && late > 800 && late < 5000, `${gone} after ${late} ms`);
      assert.equal((await get(server, `/api/users/${server.id("carol")}`)).last_seen, seen);

      // A change of the users is noticed.
      const key = (await server.command("users", "rotate", "carol")).split("\n").find((line) => /^[0-9a-f]{64}$/.test(line));
      await server.logged(/the users are as .* says now/);
      const again = new WholePlayer(server, "carol", { extraHeaders: { "X-Api-Key": key } });
      assert.equal((await again.joined())[0].since, since, "and what did not change is as old as it was");
    });
  }

  clockTest("the clock is put back while the server is down: nothing of what was written is in the future, and nothing is lost", async (server, set) => {
    set(1);
    const alice = await WholePlayer.join(server, "alice");
    await alice.ask("set-activity", playing);
    const bob = await WholePlayer.join(server, "bob");
    await bob.ask("set-activity", playing);
    await bob.leave();
    const [state, , { since }] = await told(alice, server.id("bob")).then((first) => (first[0] === "OFFLINE" ? first : told(alice, server.id("bob"))));
    assert.equal(state, "OFFLINE");
    await server.stop();
    isNow(read(server, "activities")[0].since, 1);
    assert.equal(read(server, "last-seen")[server.id("bob")], since);

    set(0);
    await server.startAgain();
    isNow((await get(server, "/api/activities"))[0].since, 0);
    isNow((await get(server, `/api/users/${server.id("bob")}`)).last_seen, 0);
    isNow((await get(server, "/api/users")).find(({ id }) => id === server.id("bob")).last_seen, 0);
    await alice.next("disconnect");
    await alice.joined();
    assert.equal((await alice.ask("set-activity", playing)).status, "ok");
    await alice.ask("set-activity", { state: "BUSY" });
    isNow((await get(server, "/api/activities"))[0].since, 0);
    await server.stop();
    // It may be the clock of now that is wrong.
    assert.equal(read(server, "last-seen")[server.id("bob")], since);
  });
});

// ---------------------------------------------------------------------------------------------------------
// Another server.

/** All files of a server's folder, with what they say. */
const contents = (server) => Object.fromEntries(fs.readdirSync(server.folder).sort().map((name) => [name, fs.readFileSync(path.join(server.folder, name), "utf8")]));

serverTest("a second server on the same port says so, and touches nothing", { users }, async (server) => {
  const folder = path.join(server.folder, "of the second");
  const { code, said } = await server.run([], { within: ["env", `SERVER_PORT=${server.port}`, `USERS_FILE=${folder}/users.json`] });
  assert.equal(code, 1);
  assert.match(said, new RegExp(`^rollcall: port ${server.port} is taken by another program.* or set SERVER_PORT to a free port\n$`));
  assert.ok(!fs.existsSync(folder));
});

serverTest("a second server on the same users says so, and touches nothing; the command line goes on", { users }, async (server) => {
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", playing);
  const before = contents(server);
  const second = server.run([]);
  const { code, said } = await second;
  assert.equal(code, 1, said);
  const [waits, fails, ...rest] = said.split("\n");
  assert.match(waits, / INFO {2}another server has these users: waiting for its end$/);
  assert.equal(fails, `rollcall: another server runs on the user file ${server.usersFile}: stop that one, or set USERS_FILE to a file of its own`);
  assert.deepEqual(rest, [""]);
  const after = contents(server);
  // What the first has written meanwhile is its own.
  for (const all of [before, after]) delete all["users.activities.json"];
  assert.deepEqual(after, before);

  const { username } = await server.command("users", "add", "dora").then(() => server.users().at(-1));
  assert.equal(username, "dora");
  assert.equal((await alice.ask("get-activities")).length, 1);
  // One that writes nothing down may look on.
  const beside = server.spawn([], ["env", "SERVER_ONLINE_ACTIVITIES_DISABLED=true"]);
  assert.match((await within(10_000, "its address", once(beside.stdout.setEncoding("utf8"), "data")))[0], /^Rollcall listening on/);
  beside.kill();
  assert.deepEqual(await once(beside, "close"), [0, null]);
});

serverTest("a server that starts while the one before is still ending waits for that", { users }, async (server) => {
  const alice = await RawSession.join(server, "alice");
  alice.send('42["set-activity",{"state":"BUSY"}]');
  assert.match(await alice.frame(), /BUSY/);
  // Its end waits for those who take no goodbye.
  alice.socket.pause();
  const stopped = server.stop();
  await server.logged(/stopping/);
  const next = server.spawn([], ["env", `SERVER_PORT=${server.port}`]);
  let said = "";
  next.stderr.setEncoding("utf8").on("data", (text) => (said += text));
  const [line] = await within(2 * STOP_DEADLINE_MS, "the next server", once(next.stdout.setEncoding("utf8"), "data"));
  assert.match(line, /^Rollcall listening on/);
  await stopped;
  assert.match(said, /waiting for its end/);
  const [known] = await get(server, "/api/activities");
  assert.equal(known.state, "BUSY");
  next.kill();
  assert.deepEqual(await once(next, "close"), [0, null]);
});
