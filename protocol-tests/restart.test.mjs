// What outlives the server: what everyone knew, and when users were seen last, in files beside that of the users.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { WholePlayer as Player } from "./support/player.mjs";
import { serverTest } from "./support/server.mjs";
import { until } from "./support/wait.mjs";

const users = ["alice", "bob", { name: "gvbot_steam" }];

const file = (server, what) => path.join(server.folder, `users.${what}.json`);

const read = (server, what) => JSON.parse(fs.readFileSync(file(server, what), "utf8"));

async function get(server, where, name = "bob") {
  const response = await fetch(server.url + where, { headers: { "X-Api-Key": server.key(name) } });
  assert.equal(response.status, 200);
  return response.json();
}

const lastSeen = async (server, id) => (await get(server, `/api/users/${id}`)).last_seen;

/** Waits for what is written every five seconds. */
const written = (server, what, wanted) => until(`${what} to be written`, wanted, () => (fs.existsSync(file(server, what)) ? fs.readFileSync(file(server, what), "utf8") : ""), 15_000);

const playing = { state: "PLAYING", game_id: 7, details: "The end" };

for (const [how, end] of [
  ["SIGTERM", (server) => server.stop()],
  ["SIGKILL", (server) => written(server, "activities", (text) => text.includes("PLAYING")).then(() => server.kill())],
]) {
  serverTest(`after ${how} a restart is a short loss for all, and silent for those who come back`, { users }, async (server) => {
    const alice = await Player.join(server, "alice");
    await alice.ask("set-activity", playing);
    const { seq, ...known } = await alice.next("activity");
    assert.equal(seq, 1);
    await end(server);
    assert.deepEqual(read(server, "activities"), [known]);
    assert.equal(fs.statSync(file(server, "activities")).mode & 0o777, 0o600);

    await server.startAgain();
    assert.deepEqual(await get(server, "/api/activities"), [known]);
    const bob = await Player.join(server, "bob");
    assert.deepEqual(bob.snapshot, [known]);
    // The client comes back by itself, and says again what it does, as clients do.
    await alice.next("disconnect");
    assert.deepEqual(await alice.joined(), [known]);
    assert.deepEqual((await alice.ask("set-activity", playing)).activity, known);
    await bob.ask("get-activities");
    assert.deepEqual(bob.all("activity"), []);
  });
}

serverTest("who does not come back is offline after the grace, and was seen last then", { users, env: { ACTIVITY_GRACE_SECONDS: "1" } }, async (server) => {
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", playing);
  await server.stop();
  alice.socket.disconnect();
  await server.start();
  const bob = await Player.join(server, "bob");
  assert.equal(bob.snapshot.length, 1);
  assert.equal(await lastSeen(server, 1), null);
  const { state, since, seq } = await bob.next("activity");
  assert.deepEqual([state, seq], ["OFFLINE", 1]);
  assert.equal(await lastSeen(server, 1), since);
});

serverTest("after a long stop nobody is there, and everyone was seen last when the server was", { users, env: { ACTIVITY_GRACE_SECONDS: "60" } }, async (server) => {
  await Promise.all(["alice", "bob"].map(async (name) => (await Player.join(server, name)).ask("set-activity", playing)));
  await server.stop();
  // Whole seconds, since Node reckons with fractions of them.
  const stopped = (Math.trunc(Date.now() / 1000) - 3 * 86_400) * 1000;
  fs.utimesSync(file(server, "activities"), new Date(), new Date(stopped));
  // What is known already may be later, if the clock was put back.
  fs.writeFileSync(file(server, "last-seen"), JSON.stringify({ 1: stopped - 1000, 2: stopped + 1000, 3: 1 }));
  await server.start();
  const bob = await Player.join(server, "bob");
  assert.deepEqual(bob.snapshot, []);
  assert.deepEqual([await lastSeen(server, 1), await lastSeen(server, 2)], [stopped, stopped + 1000]);
  const { activity } = await bob.ask("set-activity", playing);
  assert.ok(activity.since > stopped + 2000, "since the stop is over");
  await bob.ask("get-activities");
  assert.equal(bob.all("activity").length, 1, "nobody is told of those who were there days ago");
});

serverTest("a long time in which nothing changes is not a stop", { users, env: { ACTIVITY_GRACE_SECONDS: "60" } }, async (server) => {
  const alice = await Player.join(server, "alice");
  const { activity } = await alice.ask("set-activity", playing);
  await written(server, "activities", (text) => text.includes("PLAYING"));
  fs.utimesSync(file(server, "activities"), new Date(), new Date(Date.now() - 86_400_000));
  await server.stop();
  alice.socket.disconnect();
  await server.start();
  assert.equal((await get(server, "/api/activities"))[0]?.since, activity.since);
});

serverTest("last seen: when the public state last became OFFLINE", { users }, async (server) => {
  const bob = await Player.join(server, "bob");
  const alice = await Player.join(server, "alice");
  const told = async () => (await bob.next("activity")).since;
  assert.equal(await lastSeen(server, 1), null);
  alice.emit("set-activity", { state: "ONLINE" });
  await told();
  assert.equal(await lastSeen(server, 1), null, "she is there, and was never gone");
  alice.emit("set-activity", { state: "OFFLINE" });
  const invisible = await told();
  assert.equal(await lastSeen(server, 1), invisible, "invisible is as good as gone");
  alice.emit("set-activity", { state: "BUSY" });
  await told();
  assert.equal(await lastSeen(server, 1), invisible);
  await alice.leave();
  const gone = await told();
  assert.equal(await lastSeen(server, 1), gone);
  assert.deepEqual((await get(server, "/api/users")).map((user) => user.last_seen), [gone, null]);
  assert.ok(!("last_seen" in (await get(server, "/api/users/me"))));

  await server.stop();
  assert.deepEqual(read(server, "last-seen"), { 1: gone });
  assert.equal(fs.statSync(file(server, "last-seen")).mode & 0o777, 0o600);
  await server.startAgain();
  assert.equal(await lastSeen(server, 1), gone);
  await server.stop();
  assert.deepEqual(read(server, "last-seen"), { 1: gone });

  server.set("SERVER_ONLINE_ACTIVITIES_DISABLED", "true");
  await server.startAgain();
  assert.equal(await lastSeen(server, 1), gone, "without activities, too");
  assert.deepEqual((await get(server, "/api/users")).map((user) => user.last_seen), [gone, null]);
  await server.stop();
  assert.deepEqual(read(server, "last-seen"), { 1: gone });
});

serverTest("who was removed while the server was down is not there", { users }, async (server) => {
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", playing);
  await server.stop();
  await server.command("users", "remove", "alice");
  await server.start();
  assert.deepEqual(await get(server, "/api/activities"), []);
});

const broken = {
  "nothing": "",
  "no JSON": "{",
  "no text": Buffer.from([0xff, 0xfe, 0x00]),
  "something else": '"hello"',
  "a wrong list": '[{"user_id":1}]',
  "wrong fields": '[{"user_id":-1,"socket_id":"x","state":"ONLINE","since":"never"}]',
};

for (const [what, content] of Object.entries(broken)) {
  serverTest(`a file that is broken (${what}) costs the history, not the start`, { users }, async (server) => {
    await server.stop();
    server.stderr = "";
    for (const name of ["activities", "last-seen"]) fs.writeFileSync(file(server, name), content);
    await server.start();
    for (const name of ["activities", "last-seen"]) {
      await server.logged(new RegExp(`users\\.${name}\\.json .*\\n`));
      const warnings = server.stderr.split("\n").filter((line) => line.includes(`users.${name}.json`));
      assert.equal(warnings.length, 1, server.stderr);
      assert.match(warnings[0], / WARN .*cannot be used, so it is forgotten/);
    }
    assert.deepEqual(await get(server, "/api/activities"), []);
    assert.equal(await lastSeen(server, 1), null);
    const alice = await Player.join(server, "alice");
    await alice.ask("set-activity", playing);
    await alice.ask("set-activity", { state: "OFFLINE" });
    await alice.ask("set-activity", playing);
    await server.stop();
    assert.equal(read(server, "activities").length, 1, "and is replaced by a good one");
    assert.deepEqual(Object.keys(read(server, "last-seen")), ["1"]);
  });
}

/** Root may write wherever it likes, but not over a folder. */
serverTest("files that cannot be written are told of, once, and nothing else happens", { users, timeout: 60_000 }, async (server) => {
  await server.stop();
  fs.rmSync(file(server, "activities"));
  fs.mkdirSync(path.join(file(server, "activities"), "full"), { recursive: true });
  await server.start();
  await server.logged(/users\.activities\.json cannot be used/);
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", playing);
  const warnings = () => server.stderr.split("\n").filter((line) => /WARN .*users\.activities\.json cannot be written/.test(line));
  await until("the warning", (lines) => lines.length > 0, warnings, 15_000);
  await alice.ask("set-activity", { state: "BUSY" });
  assert.equal((await get(server, "/api/activities"))[0].state, "BUSY");
  await server.stop();
  assert.equal(warnings().length, 1);
  assert.deepEqual(fs.readdirSync(server.folder).filter((name) => name.startsWith(".")), [], "no drafts are left");
});

serverTest("a folder that is read-only", { users, timeout: 60_000 }, async (server) => {
  // Root may write wherever it likes.
  await server.stop();
  await server.dropRoot();
  await server.start();
  fs.chmodSync(server.folder, 0o500);
  try {
    const alice = await Player.join(server, "alice");
    await alice.ask("set-activity", playing);
    await server.stop();
    assert.match(server.stderr, /users\.activities\.json cannot be written, so a restart forgets/);
    await server.start();
    assert.deepEqual(await get(server, "/api/activities"), []);
  } finally {
    fs.chmodSync(server.folder, 0o700);
  }
});
