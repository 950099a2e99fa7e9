// What presence is beyond the original's events: words, since when, grace, order, interest, rate. With the official client.

import assert from "node:assert/strict";
import { BURST, flood, MANY } from "./support/flood.mjs";
import { Player } from "./support/player.mjs";
import { RawSession } from "./support/raw.mjs";
import { NO_GRACE, serverTest } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

/** Long enough to be seen, short enough to be waited for. */
const SHORT_GRACE = { env: { ACTIVITY_GRACE_SECONDS: "1" } };

/** The client's connection breaks, and it does not know why. */
function reset(player) {
  player.socket.io.engine.transport.ws._socket.resetAndDestroy();
}

/** Nothing was said to this one since: the answer comes behind all that was. */
async function hearsNothing(player) {
  await player.ask("get-activities");
  player.all("activities");
  assert.deepEqual(player.allWhole("activity"), []);
}

/** The payload of `event` is refused: to its sender, by an exception and an ack, which say what is wrong. */
async function refused(player, event, payload, pattern) {
  const answer = await player.ask(event, payload);
  assert.deepEqual(Object.keys(answer), ["status", "message"], JSON.stringify(payload));
  assert.equal(answer.status, "error");
  assert.match(answer.message, pattern, JSON.stringify(payload));
  const exception = await player.next("exception");
  assert.equal(exception.message, answer.message);
  assert.equal(exception.cause.pattern, event);
}

// ---------------------------------------------------------------------------------------------------------------------
// Words, and since when

serverTest("details: told as they are, up to 128 characters, none of them a control character", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  const bob = await Player.join(server, "bob");
  const same = { user_id: server.id("alice"), socket_id: alice.sid, state: "BUSY" };
  const good = ["in a call", "é€😀 <b>\"\\", "x".repeat(128), "😀".repeat(128), "\u2028", " "];
  for (const details of good) {
    assert.deepEqual(await alice.ask("set-activity", { state: "BUSY", details, extra: 1, user_id: 2, socket_id: "x", since: 1, seq: 1 }), { status: "ok", activity: { ...same, details } });
    assert.deepEqual(await bob.next("activity"), { ...same, details });
    assert.deepEqual(await bob.ask("get-activities"), [{ ...same, details }]);
  }
  for (const details of [7, true, [], {}, "x".repeat(129), "😀".repeat(129), "a\nb", "\0", "\x1b[2J", "\x7f", "\x85"]) {
    await refused(alice, "set-activity", { state: "BUSY", details }, /^details must be a text of at most 128 characters/);
  }
  await hearsNothing(bob);
  for (const details of [null, ""]) {
    await alice.ask("set-activity", { state: "BUSY", details: "x" });
    assert.deepEqual(await bob.next("activity"), { ...same, details: "x" });
    await alice.ask("set-activity", { state: "BUSY", details });
    assert.deepEqual(await bob.next("activity"), same);
  }
});

serverTest("since: when the state or the game changed, and nothing else", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  const since = async (report) => (await alice.askWhole("set-activity", report)).activity.since;
  const before = Date.now();
  const first = await since({ state: "PLAYING", game_id: 7 });
  assert.ok(first >= before && first <= Date.now(), `${before} ${first}`);
  const tick = () => new Promise((resolve) => setTimeout(resolve, 5));
  await tick();
  assert.equal(await since({ state: "PLAYING", game_id: 7 }), first, "a repeat");
  assert.equal(await since({ state: "PLAYING", game_id: 7, details: "in a raid" }), first, "other words");
  const phone = await Player.join(server, "alice");
  assert.equal((await phone.askWhole("set-activity", { state: "PLAYING", game_id: 7 })).activity.since, first, "another device");
  const [[known]] = await (async () => { phone.emit("get-activities"); return phone.whole("activities"); })();
  assert.equal(known.since, first, "the snapshot");
  await tick();
  const second = await since({ state: "PLAYING", game_id: 8 });
  assert.ok(second > first, "another game");
  await tick();
  await phone.leave();
  assert.ok((await since({ state: "BUSY" })) > second, "another state");
});

serverTest("OFFLINE again is the same again, on a socket and without one", {}, async (server) => {
  const tick = () => new Promise((resolve) => setTimeout(resolve, 5));
  const report = { state: "OFFLINE", ttl_seconds: 60 };
  const put = async () => {
    const headers = { "X-Api-Key": server.key("alice") };
    const answer = await fetch(`${server.url}/api/users/me/activity`, { method: "PUT", headers, body: JSON.stringify(report) });
    assert.equal(answer.status, 200);
    return answer.json();
  };
  const bob = await Player.join(server, "bob");

  // Of whom nobody has heard.
  const first = await put();
  await tick();
  assert.deepEqual(await put(), first);
  const alice = await Player.join(server, "alice");
  assert.deepEqual((await alice.askWhole("set-activity", report)).activity, first);
  assert.deepEqual(bob.all("activity"), []);

  // Who was there.
  await alice.ask("set-activity", { state: "BUSY" });
  await tick();
  const gone = (await alice.askWhole("set-activity", report)).activity;
  assert.ok(gone.since > first.since);
  assert.equal(gone.socket_id, alice.sid);
  for (const again of [async () => (await alice.askWhole("set-activity", report)).activity, put]) {
    await tick();
    assert.deepEqual(await again(), gone);
  }

  // Since when holds beyond the server's life.
  await server.stop();
  await server.startAgain();
  const later = await put();
  assert.deepEqual({ ...later, socket_id: gone.socket_id }, gone);
  assert.deepEqual(await put(), later);
});

serverTest("OFFLINE is invisible: others see nobody, and are seen", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  const bob = await Player.join(server, "bob");
  await alice.ask("set-activity", { state: "BUSY" });
  assert.equal((await bob.next("activity")).state, "BUSY");
  await alice.ask("set-activity", { state: "OFFLINE" });
  assert.deepEqual(await bob.next("activity"), { user_id: server.id("alice"), socket_id: alice.sid, state: "OFFLINE" });
  const carol = await Player.join(server, "carol");
  assert.deepEqual(carol.snapshot, []);
  alice.all("activity");
  await bob.ask("set-activity", { state: "ONLINE" });
  assert.deepEqual(await alice.next("activity"), { user_id: server.id("bob"), socket_id: bob.sid, state: "ONLINE" });
  bob.all("activity");
  await alice.leave();
  await hearsNothing(bob);
});

// ---------------------------------------------------------------------------------------------------------------------
// Leaving

serverTest("a connection that breaks and comes back in time: nobody notices, as often as it happens", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const alice = await Player.join(server, "alice");
  const report = { state: "PLAYING", game_id: 42, details: "in a raid" };
  // As GameVault's client does.
  alice.socket.on("connect", () => alice.emit("set-activity", report, () => alice.back?.()));
  const { activity } = await alice.ask("set-activity", report);
  assert.deepEqual(await bob.next("activity"), activity);
  const first = alice.sid;
  for (let times = 0; times < 5; times += 1) {
    const back = new Promise((resolve) => (alice.back = resolve));
    reset(alice);
    assert.match(await alice.next("disconnect"), /transport (close|error)/);
    await within(5000, "its return", back);
    assert.notEqual(alice.sid, first);
    assert.deepEqual(await bob.ask("get-activities"), [activity], "as if nothing had been");
    await hearsNothing(bob);
  }
  const last = alice.sid;
  await alice.ask("set-activity", { state: "BUSY" });
  assert.deepEqual(await bob.next("activity"), { user_id: activity.user_id, socket_id: last, state: "BUSY" });
  await alice.leave();
  assert.equal((await bob.next("activity")).state, "OFFLINE", "a clean leave is told at once");
});

serverTest("back with something else: told once, and it takes the place of what was lost", SHORT_GRACE, async (server) => {
  const bob = await Player.join(server, "bob");
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", { state: "PLAYING", game_id: 42 });
  await bob.next("activity");
  reset(alice);
  await alice.next("disconnect");
  await alice.next("connect");
  await alice.ask("set-activity", { state: "ONLINE" });
  const online = { user_id: server.id("alice"), socket_id: alice.sid, state: "ONLINE" };
  assert.deepEqual(await bob.next("activity"), online);
  // Past the end of the grace period, which a second loss shows.
  const carol = await RawSession.join(server, "carol");
  carol.send('42["set-activity",{"state":"BUSY"}]');
  assert.equal((await bob.next("activity")).state, "BUSY");
  carol.socket.resetAndDestroy();
  assert.deepEqual(await bob.next("activity"), { user_id: server.id("carol"), socket_id: carol.sid, state: "OFFLINE" });
  assert.deepEqual(await bob.ask("get-activities"), [online]);
});

for (const [name, end] of Object.entries({
  "a reset": (session) => session.socket.resetAndDestroy(),
  "an end of the stream": (session) => session.socket.end(),
  "a bare close frame": (session) => session.ws.close(1000),
  "a packet that is none": (session) => session.send("7"),
})) {
  serverTest(`not back in time: ${name} is told when the grace period is over`, SHORT_GRACE, async (server) => {
    const bob = await Player.join(server, "bob");
    const alice = await RawSession.join(server, "alice");
    alice.send('42["set-activity",{"state":"BUSY"}]');
    assert.equal((await bob.next("activity")).state, "BUSY");
    const start = Date.now();
    end(alice);
    const [{ since, seq, ...offline }] = await bob.whole("activity");
    assert.deepEqual(offline, { user_id: server.id("alice"), socket_id: alice.sid, state: "OFFLINE" });
    assert.equal(seq, 2);
    assert.ok(since - start >= 950, `after ${since - start} ms`);
    assert.deepEqual(await bob.ask("get-activities"), []);
  });
}

for (const [name, end] of Object.entries({
  "DISCONNECT": (session) => session.send("41"),
  "the close packet": (session) => session.send("1"),
})) {
  serverTest(`a goodbye is told at once: ${name}`, {}, async (server) => {
    const bob = await Player.join(server, "bob");
    const alice = await RawSession.join(server, "alice");
    alice.send('42["set-activity",{"state":"BUSY"}]');
    assert.equal((await bob.next("activity")).state, "BUSY");
    end(alice);
    assert.equal((await bob.next("activity")).state, "OFFLINE");
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// Order

serverTest("seq: grows by one for each change that everyone is told; what changes nothing is confirmed as of now, to its sender alone", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  const bob = await Player.join(server, "bob");
  const heard = async (player) => (await player.whole("activity"))[0];
  for (let seq = 1; seq <= 5; seq += 1) {
    await alice.ask("set-activity", { state: "PLAYING", game_id: seq });
    for (const player of [alice, bob]) {
      const told = await heard(player);
      assert.deepEqual([told.game_id, told.seq], [seq, seq]);
    }
  }
  await bob.ask("set-activity", { state: "BUSY" });
  assert.equal((await heard(bob)).seq, 6);
  assert.equal((await heard(alice)).seq, 6);
  await alice.ask("set-activity", { state: "PLAYING", game_id: 5 });
  const confirmed = await heard(alice);
  assert.deepEqual([confirmed.user_id, confirmed.game_id, confirmed.seq], [server.id("alice"), 5, 6]);
  await hearsNothing(bob);
});

serverTest("watch: the snapshot says where it stands; those who know nothing of it get the one argument", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  const bob = new Player(server, "bob");
  assert.deepEqual(await bob.whole("activities"), [[]], "one argument");
  await alice.ask("set-activity", { state: "BUSY" });
  await alice.ask("set-activity", { state: "ONLINE" });
  assert.deepEqual(await bob.ask("watch", { all: true }), { status: "ok" });
  const [known, place, ...more] = await bob.whole("activities");
  assert.deepEqual(known.map(({ state }) => state), ["ONLINE"]);
  assert.deepEqual([place, more], [{ seq: 2 }, []]);
  bob.allWhole("activity");
  await alice.ask("set-activity", { state: "BUSY" });
  assert.equal((await bob.whole("activity"))[0].seq, 3, "the next");
  const acked = await bob.ask("get-activities");
  assert.equal(acked.length, 1);
  assert.deepEqual((await bob.whole("activities"))[1], { seq: 3 });
  alice.emit("get-activities");
  alice.allWhole("activities");
  assert.equal((await alice.whole("activities")).length, 1, "one argument, as ever");
});

serverTest("who watches and cannot follow is brought up to date, and can tell", { timeout: 60_000, users: MANY }, async (server) => {
  const slow = await RawSession.join(server, "slow");
  slow.send('42["watch",{"all":true}]');
  assert.equal(await slow.frame(), '42["activities",[],{"seq":0}]');
  slow.socket.pause();
  const sessions = await flood(server);
  slow.socket.resume();
  let at = 0;
  let snapshots = 0;
  while (at < sessions.length * BURST) {
    const [event, told, place] = JSON.parse((await slow.frame()).slice(2));
    if (event === "activities") {
      snapshots += 1;
      assert.ok(place.seq > at, `from ${at} to a snapshot of ${place.seq}`);
      at = place.seq;
    } else {
      at += 1;
      assert.equal(told.seq, at, "the next");
    }
  }
  assert.ok(snapshots > 0, "it was not slow enough to miss anything");
});

// ---------------------------------------------------------------------------------------------------------------------
// Interest

serverTest("watch: only those who are named, until something else is said", NO_GRACE, async (server) => {
  const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map((name) => Player.join(server, name)));
  const [a, b] = [server.id("alice"), server.id("bob")];
  await alice.ask("set-activity", { state: "BUSY" });
  await bob.ask("set-activity", { state: "BUSY" });
  await hearsOf(carol, [a, b]);

  assert.deepEqual(await carol.ask("watch", { users: [b, 4711] }), { status: "ok" });
  const [known, place] = await carol.whole("activities");
  assert.deepEqual(known.map(({ user_id }) => user_id), [b]);
  assert.deepEqual(place, { seq: 2 });
  await alice.ask("set-activity", { state: "ONLINE" });
  await bob.ask("set-activity", { state: "ONLINE" });
  const [{ user_id, seq }] = await carol.whole("activity");
  assert.deepEqual([user_id, seq], [b, 4], "it only grows");
  assert.deepEqual((await carol.ask("get-activities")).map((activity) => activity.user_id), [b]);
  assert.deepEqual((await carol.whole("activities"))[1], { seq: 4 });
  assert.deepEqual(carol.all("activity"), []);

  // A report that changes nothing is confirmed to those who are told of themselves; the ack says it to all.
  assert.equal((await carol.ask("set-activity", { state: "OFFLINE" })).activity.state, "OFFLINE");
  assert.deepEqual(carol.all("activity"), []);

  assert.deepEqual(await carol.ask("watch", { users: [] }), { status: "ok" });
  assert.deepEqual(await carol.whole("activities"), [[], { seq: 4 }]);
  await bob.ask("set-activity", { state: "PLAYING" });
  assert.deepEqual(await carol.ask("get-activities"), []);
  assert.deepEqual(carol.all("activity"), []);
  carol.all("activities");

  assert.deepEqual(await carol.ask("watch", { all: true }), { status: "ok" });
  assert.deepEqual((await carol.next("activities")).map((activity) => activity.user_id), [a, b]);
  await alice.ask("set-activity", { state: "PLAYING" });
  await hearsOf(carol, [a]);

  // It is the socket's, so a new one begins with all.
  await carol.ask("watch", { users: [] });
  reset(carol);
  await carol.next("disconnect");
  carol.allWhole("activities");
  await carol.next("connect");
  assert.equal((await carol.whole("activities")).length, 1);
  await alice.ask("set-activity", { state: "BUSY" });
  await hearsOf(carol, [a]);
});

async function hearsOf(player, ids) {
  const heard = [];
  for (const _ of ids) heard.push((await player.next("activity")).user_id);
  assert.deepEqual(heard, ids);
}

serverTest("watch: what is none is refused, and nothing changes", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  const bob = await Player.join(server, "bob");
  const ids = Array.from({ length: 1000 }, (_, i) => i);
  assert.deepEqual(await bob.ask("watch", { users: ids }), { status: "ok" });
  assert.deepEqual(await bob.next("activities"), []);
  const bad = [
    [undefined, /users/],
    [null, /users/],
    ["all", /users/],
    [[1, 2], /users/],
    [[true, null], /users/],
    [{}, /users/],
    [{ all: true, users: [1] }, /users.*all/],
    [{ all: false }, /^all must be true/],
    [{ users: 1 }, /^users must be a list/],
    [{ users: ["1"] }, /^users must be a list/],
    [{ users: [-1] }, /^users must be a list/],
    [{ users: [1.5] }, /^users must be a list/],
    [{ users: [null] }, /^users must be a list/],
    [{ users: [...ids, 1000] }, /^users must not have more than 1000/],
    [{ users: Buffer.from([1]) }, /^users must be a list/],
  ];
  for (const [payload, pattern] of bad) await refused(bob, "watch", payload, pattern);
  assert.deepEqual(bob.allWhole("activities"), []);
  await alice.ask("set-activity", { state: "BUSY" });
  assert.equal((await bob.next("activity")).user_id, server.id("alice"), "it watches whom it watched");
  await bob.ask("get-activities");
  assert.deepEqual((await bob.whole("activities"))[1], { seq: 1 });
});

// ---------------------------------------------------------------------------------------------------------------------
// Rate

serverTest("a thousand changes at once: no error, no lost last state, and not more published than promised", {}, async (server) => {
  const CHANGES = 1000;
  const players = await Promise.all(["alice", "bob", "carol"].map((name) => Player.join(server, name)));
  const [alice, bob] = players;
  const start = performance.now();
  const asked = Array.from({ length: CHANGES }, (_, i) => alice.ask("set-activity", { state: "PLAYING", game_id: i + 1 }));
  const answers = await Promise.all(asked);
  answers.forEach((answer, i) => assert.deepEqual([answer.status, answer.activity.game_id], ["ok", i + 1]));
  for (const player of players) {
    let published = 0;
    let last;
    do {
      [last] = await player.whole("activity");
      published += 1;
      assert.equal(last.seq, published, "each is the next");
    } while (last.game_id !== CHANGES);
    const seconds = (performance.now() - start) / 1000;
    assert.ok(published >= BURST && published <= BURST + Math.ceil(20 * seconds), `${published} in ${seconds} s`);
  }
  assert.deepEqual((await bob.ask("get-activities")).map(({ game_id }) => game_id), [CHANGES]);
  for (const player of players) {
    await hearsNothing(player);
    assert.deepEqual(player.all("exception"), []);
  }
});

serverTest("whoever leaves in the middle of too many changes is OFFLINE in the end", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const alice = await RawSession.join(server, "alice");
  for (let game_id = 1; game_id <= 300; game_id += 1) alice.send(`42["set-activity",{"state":"PLAYING","game_id":${game_id}}]`);
  alice.send("41");
  let last;
  do last = await bob.next("activity");
  while (last.state !== "OFFLINE");
  assert.deepEqual(await bob.ask("get-activities"), []);
  await hearsNothing(bob);
});
