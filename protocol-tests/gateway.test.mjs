// What Rollcall is for, with the official client: connect with a key, set an activity, everyone knows.

import assert from "node:assert/strict";
import fs from "node:fs";
import { bare, bareEvent } from "./support/activity.mjs";
import { TRANSPORTS } from "./support/client.mjs";
import { BURST, flood, MANY } from "./support/flood.mjs";
import { Player } from "./support/player.mjs";
import { exchange, RawSession, upgradeRequest } from "./support/raw.mjs";
import { NO_GRACE, serverTest, STOP_DEADLINE_MS } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

/** A running server takes a change of its users within this. */
const USERS_CHANGE_MS = 2000;

/** A test for each way on which the official client may come. It is given the players who come that way. */
function onEveryTransport(name, options, body) {
  for (const [way, transports] of Object.entries(TRANSPORTS)) {
    class Traveller extends Player {
      constructor(server, user, more) {
        super(server, user, { transports, ...more });
      }
    }
    serverTest(`${name}, ${way}`, options, (server, t) => body(server, Traveller, t));
  }
}

const byUser = (activities) => [...activities].sort((a, b) => a.user_id - b.user_id);

// ---------------------------------------------------------------------------------------------------------------------
// Presence

onEveryTransport("two users see each other come, play, be busy and leave", {}, async (server, Player) => {
  const [aliceId, bobId] = [server.id("alice"), server.id("bob")];
  const alice = await Player.join(server, "alice");
  assert.deepEqual(alice.snapshot, []);

  alice.emit("set-activity", { state: "ONLINE" });
  const aliceOnline = { user_id: aliceId, socket_id: alice.sid, state: "ONLINE" };
  assert.deepEqual(await alice.next("activity"), aliceOnline, "the sender is told as well");

  const bob = await Player.join(server, "bob");
  assert.deepEqual(bob.snapshot, [aliceOnline], "who is there already");

  for (const report of [{ state: "ONLINE" }, { state: "PLAYING", game_id: 42 }, { state: "PLAYING", game_id: 43 }, { state: "PLAYING" }, { state: "BUSY" }]) {
    bob.emit("set-activity", report);
    const expected = { user_id: bobId, socket_id: bob.sid, ...report };
    assert.deepEqual(await alice.next("activity"), expected);
    assert.deepEqual(await bob.next("activity"), expected);
  }
  alice.emit("set-activity", { state: "PLAYING", game_id: 7 });
  assert.deepEqual(await bob.next("activity"), { user_id: aliceId, socket_id: alice.sid, state: "PLAYING", game_id: 7 });
  assert.deepEqual(await alice.next("activity"), { user_id: aliceId, socket_id: alice.sid, state: "PLAYING", game_id: 7 });

  const bobSid = bob.sid;
  await bob.leave();
  assert.deepEqual(await alice.next("activity"), { user_id: bobId, socket_id: bobSid, state: "OFFLINE" });
  assert.deepEqual(await alice.ask("get-activities"), [{ user_id: aliceId, socket_id: alice.sid, state: "PLAYING", game_id: 7 }]);
  assert.deepEqual(alice.all("activity"), [], "and nothing else was said");
});

onEveryTransport("acks: set-activity, get-activities", {}, async (server, Player) => {
  const alice = await Player.join(server, "alice");
  const expected = { user_id: server.id("alice"), socket_id: alice.sid, state: "PLAYING", game_id: 42 };
  assert.deepEqual(await alice.ask("set-activity", { state: "PLAYING", game_id: 42 }), { status: "ok", activity: expected });
  assert.deepEqual(await alice.next("activity"), expected);
  assert.deepEqual(await alice.ask("get-activities"), [expected]);
  assert.deepEqual(await alice.next("activities"), [expected], "the event comes as well");
  alice.emit("get-activities");
  assert.deepEqual(await alice.next("activities"), [expected]);
  await assert.rejects(alice.socket.timeout(200).emitWithAck("no-such-event"), /timed out/);
});

onEveryTransport("the same from OFFLINE: withdrawn, and set again", {}, async (server, Player) => {
  const alice = await Player.join(server, "alice");
  const bob = await Player.join(server, "bob");
  for (const state of ["ONLINE", "OFFLINE", "BUSY", "OFFLINE"]) {
    alice.emit("set-activity", { state });
    assert.deepEqual(await bob.next("activity"), { user_id: server.id("alice"), socket_id: alice.sid, state });
  }
  assert.deepEqual(await bob.ask("get-activities"), []);
  await alice.leave();
  await bob.ask("get-activities");
  assert.deepEqual(bob.all("activity"), [], "who was invisible leaves unseen");
});

onEveryTransport("bad input: the sender is told what is wrong, nobody else notices", {}, async (server, Player) => {
  const alice = await Player.join(server, "alice");
  const bob = await Player.join(server, "bob");
  const bad = [
    [],
    [null],
    ["ONLINE"],
    [42],
    [[]],
    [{}],
    [{ state: "SLEEPING" }],
    [{ state: "online" }],
    [{ state: 1 }],
    [{ state: "PLAYING", game_id: -1 }],
    [{ state: "PLAYING", game_id: 1.5 }],
    [{ state: "PLAYING", game_id: "42" }],
    [{ state: "PLAYING", game_id: 2 ** 53 }],
  ];
  const messages = new Set();
  for (const args of bad) {
    const answer = await alice.ask("set-activity", ...args);
    assert.equal(answer.status, "error");
    assert.match(answer.message, /\w+ \w+/);
    assert.doesNotMatch(answer.message, /internal/i);
    assert.deepEqual(Object.keys(answer), ["status", "message"]);
    const exception = await alice.next("exception");
    assert.equal(exception.status, "error");
    assert.equal(exception.message, answer.message);
    assert.equal(exception.cause.pattern, "set-activity");
    messages.add(answer.message);
  }
  assert.ok(messages.size >= 4, `messages that say what is wrong: ${[...messages].join(" | ")}`);

  alice.emit("set-activity", { state: "BUSY" });
  assert.equal((await bob.next("activity")).state, "BUSY", "the first thing that bob hears");
  assert.deepEqual(bob.all("exception"), []);
});

onEveryTransport("a binary argument is no activity", {}, async (server, Player) => {
  const alice = await Player.join(server, "alice");
  const bob = await Player.join(server, "bob");
  alice.emit("set-activity", { state: "ONLINE", blob: Buffer.from([1, 2, 3]) });
  // Refused or closed: in no case does anybody hear of it, and the server goes on.
  assert.deepEqual(await bob.ask("get-activities"), []);
  assert.deepEqual(bob.all("activity"), []);
});

onEveryTransport("all sockets of a user make one activity", {}, async (server, Player) => {
  const bob = await Player.join(server, "bob");
  const user_id = server.id("alice");
  const desk = await Player.join(server, "alice");
  const phone = await Player.join(server, "alice");
  assert.notEqual(desk.sid, phone.sid);

  desk.emit("set-activity", { state: "PLAYING", game_id: 42 });
  const playing = { user_id, socket_id: desk.sid, state: "PLAYING", game_id: 42 };
  for (const player of [bob, desk, phone]) assert.deepEqual(await player.next("activity"), playing);

  await phone.ask("set-activity", { state: "BUSY" });
  assert.deepEqual(await bob.ask("get-activities"), [playing], "playing counts for more than busy");
  await desk.leave();
  assert.deepEqual(await bob.next("activity"), { user_id, socket_id: phone.sid, state: "BUSY" });
  const last = phone.sid;
  await phone.leave();
  assert.deepEqual(await bob.next("activity"), { user_id, socket_id: last, state: "OFFLINE" });
  assert.deepEqual(await bob.ask("get-activities"), []);
  assert.deepEqual(bob.all("activity"), []);
});

onEveryTransport("whoever joins while others change sees what all see", { users: ["alice", "bob", "carol", "dave", "erin", "late"] }, async (server, Player) => {
  const players = await Promise.all(["alice", "bob", "carol", "dave", "erin"].map((name) => Player.join(server, name)));
  const changes = players.map(async (player, index) => {
    for (let game_id = 1; game_id <= 100; game_id += 1) {
      if (game_id % 10 === index) await player.ask("set-activity", { state: "OFFLINE" });
      await player.ask("set-activity", { state: "PLAYING", game_id });
    }
  });
  const views = [];
  const joining = (async () => {
    for (let i = 0; i < 20; i += 1) {
      const late = new Player(server, "late");
      const view = new Map();
      let known = false;
      late.socket.on("activities", (all) => {
        known = true;
        view.clear();
        for (const activity of all) view.set(activity.user_id, activity);
      });
      late.socket.on("activity", (activity) => {
        assert.ok(known, "a change before the snapshot");
        if (activity.state === "OFFLINE") view.delete(activity.user_id);
        else view.set(activity.user_id, activity);
      });
      await late.joined();
      views.push({ late, view });
    }
  })();
  await Promise.all([...changes, joining]);
  const final = players.map((player, index) => ({ user_id: index + 1, socket_id: player.sid, state: "PLAYING", game_id: 100 }));
  for (const { late, view } of views) {
    // The answer to a ping comes after all that was said before; it does not touch the view.
    late.socket.off("activities");
    assert.deepEqual(byUser(await late.ask("get-activities")), final);
    assert.deepEqual(byUser([...view.values()].map(({ seq, ...activity }) => bare(activity))), final);
  }
});

serverTest("who does not read for a while sees the right state in the end", { timeout: 60_000, users: MANY }, async (server) => {
  const slow = await RawSession.join(server, "slow");
  slow.socket.pause();
  const sessions = await flood(server);
  slow.socket.resume();
  const view = new Map();
  let frames = 0;
  let seq = 0;
  const done = () => sessions.every((_, i) => view.get(i + 3)?.game_id === BURST);
  while (!done()) {
    const frame = await slow.frame();
    frames += 1;
    const [event, told] = JSON.parse(frame.slice(2));
    for (const activity of [told].flat()) {
      const { user_id, game_id } = activity;
      assert.ok(view.get(user_id) === undefined || game_id >= view.get(user_id).game_id, `${frame} after ${view.get(user_id)?.game_id}`);
      assert.ok(activity.seq === undefined || activity.seq > seq, `${activity.seq} after ${seq}`);
      seq = activity.seq ?? seq;
      view.set(user_id, bareEvent(event, activity));
    }
  }
  assert.ok(frames < BURST * sessions.length, "it was not slow enough to miss anything");
  slow.send('42["get-activities"]');
  const [event, known] = JSON.parse((await slow.frame()).slice(2));
  assert.equal(event, "activities");
  assert.deepEqual(bare(known), byUser(view.values()));
  const late = await RawSession.join(server, "late");
  assert.deepEqual(late.activities, bare(known));
});

serverTest("a connection that breaks is a leave where there is no grace", NO_GRACE, async (server) => {
  const alice = await Player.join(server, "alice");
  const bob = await RawSession.join(server, "bob");
  bob.send('42["set-activity",{"state":"ONLINE"}]');
  assert.equal((await alice.next("activity")).state, "ONLINE");
  bob.socket.resetAndDestroy();
  assert.deepEqual(await alice.next("activity"), { user_id: server.id("bob"), socket_id: bob.sid, state: "OFFLINE" });
});

onEveryTransport("the heartbeat keeps the official client", { env: { ENGINE_PING_INTERVAL_MS: "100", ENGINE_PING_TIMEOUT_MS: "200" } }, async (server, Player) => {
  const alice = await Player.join(server, "alice");
  await within(10_000, "ten pings", new Promise((resolve) => {
    let pings = 0;
    alice.socket.io.on("ping", () => (pings += 1) === 10 && resolve());
  }));
  assert.deepEqual(await alice.ask("get-activities"), []);
  assert.deepEqual(alice.all("disconnect"), []);
});

onEveryTransport("an unknown namespace is refused, the main one goes on", {}, async (server, Player) => {
  const alice = await Player.join(server, "alice");
  const other = alice.socket.io.socket("/custom");
  const error = await within(5000, "connect_error", new Promise((resolve) => {
    other.once("connect_error", resolve);
    other.connect();
  }));
  assert.equal(error.message, "Invalid namespace");
  assert.equal(other.connected, false);
  assert.deepEqual(await alice.ask("get-activities"), []);
  other.disconnect();
});

// ---------------------------------------------------------------------------------------------------------------------
// Keys

serverTest(
  "without a good key there is no session",
  { users: ["alice", { name: "gone", deleted_at: "2026-11-23T21:43:21.000Z" }, { name: "waiting", activated: false }] },
  async (server, t) => {
    const alice = await Player.join(server, "alice");
    const cases = [
      ["a wrong key", { "X-Api-Key": "0".repeat(64) }, 401],
      ["no key", {}, 401],
      ["a removed user's key", { "X-Api-Key": server.key("gone") }, 401],
      ["a deactivated user's key", { "X-Api-Key": server.key("waiting") }, 403],
    ];
    for (const [name, extraHeaders, status] of cases) {
      await t.test(`${name}: ${status}`, async () => {
        const stranger = new Player(server, "alice", { extraHeaders });
        for (let attempt = 1; attempt <= 3; attempt += 1) {
          const error = await stranger.next("connect_error");
          assert.match(String(error.description?.message ?? error.message), new RegExp(`${status}`));
        }
        assert.equal(stranger.socket.connected, false);
        assert.deepEqual(stranger.all("connect"), []);
        assert.deepEqual(stranger.all("activities"), []);
        stranger.socket.disconnect();

        const answer = await exchange(server, upgradeRequest({ headers: extraHeaders }));
        assert.equal(answer.status, status);
        const { code, message } = JSON.parse(answer.body);
        assert.equal(code, 4);
        assert.match(message, /\w+/);
      });
    }
    // A key in the auth payload is none: the refusal comes before.
    const late = new Player(server, "alice", { extraHeaders: {}, auth: { "X-Api-Key": server.key("alice"), token: server.key("alice") } });
    await late.next("connect_error");
    assert.deepEqual(await alice.ask("get-activities"), []);
  },
);

/** What a change of bob's row does to bob's sockets, and to nobody else's. */
function bobIsThrownOut(name, change, after) {
  onEveryTransport(name, {}, async (server, Player) => {
    const alice = await Player.join(server, "alice");
    const bobs = await Promise.all([Player.join(server, "bob"), Player.join(server, "bob")]);
    const carol = await RawSession.join(server, "carol");
    await bobs[0].ask("set-activity", { state: "ONLINE" });
    assert.equal((await alice.next("activity")).state, "ONLINE");
    await carol.frame();

    await change(server);
    for (const bob of bobs) assert.equal(await bob.next("disconnect", USERS_CHANGE_MS), "io server disconnect");
    assert.deepEqual(await alice.next("activity"), { user_id: server.id("bob"), socket_id: (await carolHears(carol)).socket_id, state: "OFFLINE" });
    for (const bob of bobs) assert.deepEqual(bob.all("connect"), [], "official clients do not come back after that");

    assert.deepEqual(await alice.ask("set-activity", { state: "BUSY" }).then(({ status }) => status), "ok");
    assert.equal((await carolHears(carol)).state, "BUSY");
    assert.deepEqual(alice.all("disconnect"), []);
    await after(server);
    carol.destroy();
  });
}

async function carolHears(carol) {
  const frame = await carol.frame();
  assert.match(frame, /^42\["activity",/);
  return JSON.parse(frame.slice(2))[1];
}

const statusFor = async (server, key) => (await exchange(server, upgradeRequest({ headers: { "X-Api-Key": key } }))).status;

bobIsThrownOut(
  "users rotate: that user's sockets are disconnected, the new key works",
  (server) => server.command("users", "rotate", "bob"),
  async (server) => {
    const fresh = server.users().find((user) => user.username === "bob").api_key;
    assert.notEqual(fresh, server.key("bob"));
    assert.equal(await statusFor(server, server.key("bob")), 401);
    assert.equal(await statusFor(server, fresh), 101);
    assert.ok((await server.command("users", "key", "bob")).includes(fresh));
  },
);

bobIsThrownOut(
  "users remove: that user's sockets are disconnected, the key is dead",
  (server) => server.command("users", "remove", "bob"),
  async (server) => assert.equal(await statusFor(server, server.key("bob")), 401),
);

bobIsThrownOut(
  "users deactivate: that user's sockets are disconnected, and come back after activate",
  (server) => server.command("users", "deactivate", "bob"),
  async (server) => {
    assert.equal(await statusFor(server, server.key("bob")), 403);
    await server.command("users", "activate", "bob");
    const bob = await Player.join(server, "bob", { reconnectionDelay: 50, reconnectionDelayMax: 50 });
    assert.equal((await bob.ask("set-activity", { state: "ONLINE" })).status, "ok");
  },
);

onEveryTransport("users add: a new user comes in at once, nobody is disturbed", {}, async (server, Player) => {
  const alice = await Player.join(server, "alice");
  await server.command("users", "add", "dave");
  const { api_key } = server.users().find((user) => user.username === "dave");
  // Refused until the server has seen the change; the client tries again by itself.
  const dave = new Player(server, "alice", { extraHeaders: { "X-Api-Key": api_key } });
  await dave.next("connect", USERS_CHANGE_MS + 500);
  assert.equal((await dave.ask("set-activity", { state: "ONLINE" })).activity.user_id, 4);
  assert.equal((await alice.next("activity")).user_id, 4);
  assert.deepEqual(alice.all("disconnect"), []);
});

serverTest("a broken user file: the old users stay, the log says why", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  const good = fs.readFileSync(server.usersFile);
  fs.writeFileSync(server.usersFile, '{"users":[\n{"id":1,]}');
  await server.logged(/users\.json.*line 2/s);
  const bob = await Player.join(server, "bob");
  assert.equal((await bob.ask("set-activity", { state: "ONLINE" })).status, "ok");
  fs.writeFileSync(server.usersFile, good);
  await bob.leave();
  assert.deepEqual(alice.all("disconnect"), []);
  assert.equal((await alice.ask("set-activity", { state: "ONLINE" })).status, "ok");
});

// ---------------------------------------------------------------------------------------------------------------------
// Shutdown and restart

onEveryTransport("a restart: clients come back by themselves and report again", {}, async (server, Player) => {
  const names = ["alice", "bob", "carol"];
  const players = await Promise.all(names.map((name) => Player.join(server, name)));
  const reports = [{ state: "ONLINE" }, { state: "PLAYING", game_id: 42 }, { state: "BUSY" }];
  await Promise.all(players.map((player, i) => player.ask("set-activity", reports[i])));
  const before = players.map((player) => player.sid);
  const ways = players.map((player) => player.socket.io.engine.transport.name);

  const began = performance.now();
  await server.stop();
  assert.ok(performance.now() - began < STOP_DEADLINE_MS);
  for (const [i, player] of players.entries()) {
    // Whoever is between two polls at that moment learns it from the next, which nobody answers.
    assert.match(await player.next("disconnect"), ways[i] === "polling" ? /^transport (close|error)$/ : /^transport close$/);
    assert.deepEqual(player.all("activity").filter(({ state }) => state === "OFFLINE"), [], "departures are not announced");
  }

  await server.startAgain();
  await Promise.all(players.map((player) => player.joined()));
  players.forEach((player, i) => assert.notEqual(player.sid, before[i]));
  const answers = await Promise.all(players.map((player, i) => player.ask("set-activity", reports[i])));
  // They are back in time, so nobody notices: they are shown as what they were.
  const expected = players.map((player, i) => ({ user_id: server.id(names[i]), socket_id: before[i], ...reports[i] }));
  assert.deepEqual(answers.map(({ activity }) => activity), expected);
  for (const player of players) assert.deepEqual(byUser(await player.ask("get-activities")), expected);
});

const crowd = Array.from({ length: 250 }, (_, i) => `user${i}`);

serverTest("SIGTERM announces no departures, and takes leave of nobody", { users: crowd }, async (server) => {
  const sessions = await Promise.all(crowd.map((name) => RawSession.join(server, name)));
  for (const session of sessions) session.send('420["set-activity",{"state":"ONLINE"}]');
  for (const session of sessions) while (!(await session.frame()).startsWith("430["));
  // Now everyone knows of everyone; what is still on its way are arrivals.
  await server.stop();
  for (const session of sessions) {
    assert.equal(await session.closedAtLast(), 1005);
    const frames = session.unread().map(({ frame }) => frame);
    assert.deepEqual(frames.filter((frame) => !/^42\["activity",\{.*"state":"ONLINE","since":\d+,"seq":\d+\}\]$/.test(frame)), []);
  }
});

serverTest("SIGTERM: a client that was behind hears of no departures either", { timeout: 60_000, users: MANY }, async (server) => {
  const slow = await RawSession.join(server, "slow");
  slow.socket.pause();
  const sessions = await flood(server);
  const stopped = server.stop();
  for (const session of sessions) assert.equal(await session.closedAtLast(), 1005);
  slow.socket.resume();
  assert.equal(await slow.closedAtLast(), 1005);
  await stopped;
  const departures = slow.unread().filter(({ frame }) => frame?.includes('"OFFLINE"'));
  assert.deepEqual(departures, []);
});

serverTest("SIGTERM under load: 200 sockets that all report, one that does not read", { timeout: 60_000, users: ["alice", "bob", "carol", "dave"] }, async (server) => {
  const names = ["alice", "bob", "carol", "dave"];
  const sessions = await Promise.all(Array.from({ length: 200 }, (_, i) => RawSession.join(server, names[i % names.length])));
  const deaf = await RawSession.join(server, "alice");
  deaf.socket.pause();

  let heard = 0;
  const stopped = new Promise((resolve, reject) => {
    sessions[0].ws.on("message", () => {
      heard += 1;
      // In the middle of it all.
      if (heard === 200) server.stop().then(resolve, reject);
    });
  });
  let report = 0;
  const load = setInterval(() => {
    for (let i = 0; i < 5; i += 1) {
      report += 1;
      const session = sessions[report % sessions.length];
      if (session.ws.readyState === session.ws.OPEN) session.send(`42["set-activity",{"state":"PLAYING","game_id":${report}}]`);
    }
  }, 20);
  try {
    await within(30_000, "the stop", stopped);
  } finally {
    clearInterval(load);
  }
  const codes = await Promise.all(sessions.map((session) => session.closedAtLast()));
  assert.deepEqual(new Set(codes), new Set([1005]), "all are closed properly");
  deaf.destroy();
});
