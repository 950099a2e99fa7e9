// From long-polling to a WebSocket, against the real binary: nothing is lost, doubled or reordered, and a failure harms nobody.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { io } from "socket.io-client";
import io2 from "socket.io-client-2";
import { io as io3 } from "socket.io-client-3";
import { Player } from "./support/player.mjs";
import { assertOk, assertRefused, BAD_REQUEST, PollingSession } from "./support/polling.mjs";
import { exchange, upgradeRequest } from "./support/raw.mjs";
import { NO_GRACE, serverTest } from "./support/server.mjs";
import { DEADLINE_MS, until, within } from "./support/wait.mjs";

const NO_STATUS = 1005;
const ONLINE = '42["set-activity",{"state":"ONLINE"}]';

/** A numbered request; its ack carries the number. */
const play = (n) => `42${n}["set-activity",{"state":"PLAYING","game_id":${n}}]`;
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** The number of an ack, or nothing for another packet. */
function ackOf(packet) {
  const [, id, json] = /^43(\d+)(.*)$/s.exec(packet) ?? [];
  if (id === undefined) return undefined;
  assert.equal(JSON.parse(json)[0].activity.game_id, Number(id), packet);
  return Number(id);
}

/** Reads a WebSocket until the ack of `last`; all acks that came. NOOP has no business there. */
async function acksUntil(candidate, last) {
  const acks = [];
  while (acks.at(-1) !== last) {
    const frame = await candidate.frame();
    assert.notEqual(frame, "6", "a NOOP leaked onto the WebSocket");
    const ack = ackOf(frame);
    if (ack !== undefined) acks.push(ack);
  }
  return acks;
}

async function aliveOn(candidate) {
  candidate.send('42["get-activities"]');
  let frame;
  do frame = await candidate.frame();
  while (!frame.startsWith('42["activities",['));
}

/** The session is on long-polling as before, and an upgrade succeeds. A server may take a moment to see that the last WebSocket is gone. */
async function goesOn(alice) {
  await alice.alive();
  const start = performance.now();
  for (;;) {
    const candidate = await alice.candidate();
    candidate.send("2probe");
    const answer = await candidate.frame().catch(() => undefined);
    if (answer === "3probe") {
      candidate.send("5");
      await aliveOn(candidate);
      return candidate;
    }
    assert.equal(answer, undefined);
    assert.ok(performance.now() - start < DEADLINE_MS, "no WebSocket is let in any more");
  }
}

async function mustBeRefused(alice) {
  assertRefused(await alice.get().answer, BAD_REQUEST);
  assertRefused(await alice.post(ONLINE).answer, BAD_REQUEST);
}

// ---------------------------------------------------------------------------------------------------------------------
// Step by step

serverTest("probe, NOOP, 5: and the session is on the WebSocket", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const alice = await PollingSession.join(server, "alice");
  const held = await alice.hold();
  const candidate = await alice.candidate();
  // A WebSocket that has said nothing yet changes nothing: neither for the GET that waits nor for the next.
  await alice.send('42["get-activities"]');
  assert.equal((await held.answer).body, '42["activities",[]]');
  const next = await alice.hold();

  const start = performance.now();
  candidate.send("2probe");
  assert.equal(await candidate.frame(), "3probe");
  const { status, body, headers } = await next.answer;
  assert.deepEqual([status, body, headers["content-type"]], [200, "6", "text/plain; charset=UTF-8"]);
  assert.ok(performance.now() - start < 1000, "at once, not some time");
  // Every GET comes back while it lasts; POSTs are served, what they bring about goes out with a GET; probes may be repeated.
  for (let i = 0; i < 3; i += 1) {
    assert.equal((await alice.get().answer).body, "6");
    candidate.send("2probe");
    assert.equal(await candidate.frame(), "3probe");
    await alice.send('42["get-activities"]');
    assert.equal((await alice.get().answer).body, '42["activities",[]]');
  }
  assert.deepEqual(candidate.unread(), [], "no packet of the session before the 5");

  candidate.send("5");
  candidate.send(ONLINE);
  assert.equal(JSON.parse((await candidate.frame()).slice(2))[1].state, "ONLINE");
  assert.deepEqual(await bob.next("activity"), { user_id: server.id("alice"), socket_id: alice.sid, state: "ONLINE" });
  await mustBeRefused(alice);
  await aliveOn(candidate);
  await candidate.leave();
  assert.equal((await bob.next("activity")).state, "OFFLINE");
  await alice.gone();
});

serverTest("requests of the start at the same time, in any order", { timeout: 60_000 }, async (server) => {
  const requests = [
    (alice) => alice.post("40").answer.then(assertOk),
    (alice) => alice.packet().then((packet) => assert.match(packet, /^40|^6$/)),
    async (alice) => (await alice.candidate()).send("2probe"),
  ];
  for (let round = 0; round < 60; round += 1) {
    const alice = await PollingSession.open(server, "alice");
    const order = [0, 1, 2].map((i) => requests[(i * (1 + (round % 2)) + round) % 3]);
    await Promise.all(order.map((request) => request(alice)));
    await alice.send('42["get-activities"]');
    let packet;
    do packet = await alice.packet();
    while (!packet.startsWith('42["activities"'));
    await alice.send("1");
  }
});

serverTest("5 without a probe; a GET that waits is not forgotten", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const held = await alice.hold();
  const candidate = await alice.candidate();
  candidate.send("5");
  await aliveOn(candidate);
  assert.equal((await held.answer).body, "6");
  await mustBeRefused(alice);
  candidate.destroy();
});

serverTest("5 as the very first packet of a session, then CONNECT on the WebSocket", {}, async (server) => {
  const alice = await PollingSession.open(server, "alice");
  const candidate = await alice.upgrade();
  candidate.send("40");
  assert.match(await candidate.frame(), /^40\{"sid"/);
  assert.equal(await candidate.frame(), '42["activities",[]]');
  candidate.destroy();
});

serverTest("an upgrade without a key is the session's, one with another user's key is refused and harms nothing", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const path = alice.path.replace("polling", "websocket");
  for (const key of [server.key("bob"), "wrong"]) {
    const answer = await exchange(server, upgradeRequest({ path, headers: { "X-Api-Key": key } }));
    assert.equal(answer.status, 403);
    assert.equal(JSON.parse(answer.body).code, 4);
  }
  await alice.alive();
  const candidate = await alice.upgrade({ headers: {} });
  candidate.send(ONLINE);
  assert.equal(JSON.parse((await candidate.frame()).slice(2))[1].user_id, server.id("alice"));
  candidate.destroy();
});

// ---------------------------------------------------------------------------------------------------------------------
// Nothing lost, doubled or reordered

serverTest("what waits when the 5 comes is sent on the WebSocket, in order and once", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const alice = await PollingSession.join(server, "alice");
  const candidate = await alice.probed();
  for (let n = 1; n <= 100; n += 10) await alice.send(...numbers(n, n + 9).map(play));
  candidate.send("5");
  for (const n of numbers(101, 200)) candidate.send(play(n));
  assert.deepEqual(await acksUntil(candidate, 200), numbers(1, 200));
  await aliveOn(candidate);
  let seen = 0;
  while (seen !== 200) {
    const { game_id } = await bob.next("activity");
    assert.ok(game_id > seen, `${game_id} after ${seen}`);
    seen = game_id;
  }
  candidate.destroy();
});

serverTest("200 numbered requests and their acks while it upgrades, GETs and POSTs going on", { timeout: 60_000 }, async (server) => {
  for (let round = 0; round < 10; round += 1) {
    const alice = await PollingSession.join(server, "alice");
    const acks = [];
    let sent = 0;
    let paused = false;
    const posting = (async () => {
      while (!paused) await alice.send(play((sent += 1)), play((sent += 1)));
    })();
    const polling = (async () => {
      while (!paused) {
        const { status, body } = await alice.get().answer;
        assert.equal(status, 200, body);
        acks.push(...body.split("\x1e").map(ackOf).filter((ack) => ack !== undefined));
      }
    })();
    // As the official client: probe, let the requests come back, 5. In between, as many requests as it takes.
    while (sent < 20 + round) await turn();
    const candidate = await alice.probed();
    while (sent < 60 + 5 * round) await turn();
    paused = true;
    await Promise.all([posting, polling]);
    candidate.send("5");
    for (const n of numbers(sent + 1, 200)) candidate.send(play(n));
    acks.push(...(await acksUntil(candidate, 200)));
    assert.deepEqual(acks, numbers(1, 200), `round ${round}`);
    await candidate.leave();
  }
});

serverTest("a POST that is still under way at the 5 comes first, and is answered", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const candidate = await alice.probed();
  const body = [1, 2, 3].map(play).join("\x1e");
  const post = alice.begin(body.slice(0, 10), body.length);
  // The server has it when a second one would be an overlap; nothing harmless tells, so three round trips must do.
  for (let i = 0; i < 3; i += 1) {
    candidate.send("2probe");
    assert.equal(await candidate.frame(), "3probe");
    assert.equal((await alice.get().answer).body, "6");
  }
  candidate.send("5");
  for (const n of [4, 5, 6]) candidate.send(play(n));
  post.socket.write(body.slice(10));
  assert.deepEqual(await post.answer, { status: 200, body: "ok" });
  assert.deepEqual(await acksUntil(candidate, 6), [1, 2, 3, 4, 5, 6]);
  await mustBeRefused(alice);
  await aliveOn(candidate);
});

/** The server behind a relay that keeps WebSockets waiting until `release` is called: else the switch is over before a test has begun. */
async function relayed(server) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const relay = net.createServer((near) => {
    near.once("data", async (head) => {
      near.pause();
      if (/^upgrade: websocket/im.test(head.toString("latin1"))) await released;
      const far = net.connect(server.port, "127.0.0.1");
      for (const [one, other] of [[near, far], [far, near]]) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
      far.write(head);
      near.pipe(far).pipe(near);
    });
    near.on("error", () => {});
  });
  await new Promise((resolve) => relay.listen(0, "127.0.0.1", resolve));
  server.adopt(() => relay.close());
  return { url: `http://127.0.0.1:${relay.address().port}`, key: (name) => server.key(name), adopt: (close) => server.adopt(close), release };
}

for (const [version, connect] of [["4.8.3", io], ["3.1.3", io3], ["2.5.0", io2]]) {
  serverTest(`client ${version}, default transports: numbered requests across the upgrade`, { timeout: 60_000, env: { ENGINE_ALLOW_EIO3: "true" } }, async (server) => {
    const bob = await Player.join(server, "bob");
    for (let round = 0; round < 10; round += 1) {
      const relay = await relayed(server);
      const alice = new Player(relay, "alice", { connect, transports: ["polling", "websocket"] });
      await alice.next("connect");
      const acks = [];
      let last = 0;
      let onPolling = 0;
      const start = performance.now();
      while (last < 200 || alice.transport !== "websocket") {
        assert.ok(performance.now() - start < DEADLINE_MS, `still on ${alice.transport}, ${last} sent`);
        last += 1;
        if (alice.transport === "polling") onPolling += 1;
        if (last === 50) relay.release();
        alice.emit("set-activity", { state: "PLAYING", game_id: last }, ({ activity }) => acks.push(activity.game_id));
        await turn();
      }
      assert.ok(onPolling >= 50 && alice.transport === "websocket");
      // Acks are in order, so this one comes after all.
      await alice.ask("get-activities");
      assert.deepEqual(acks, numbers(1, last));
      let seen = 0;
      while (seen !== last) {
        const [{ game_id }] = await bob.news();
        assert.ok(game_id > seen, `${game_id} after ${seen}`);
        seen = game_id;
      }
      await alice.leave();
      assert.equal((await bob.next("activity")).state, "OFFLINE");
      assert.deepEqual(bob.all("activity"), []);
    }
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// What goes wrong

serverTest("anything but a probe or a 5 ends the WebSocket, not the session", {}, async (server, t) => {
  const bob = await Player.join(server, "bob");
  const garbage = ["", "garbage", "0", "1", "2", "2probex", "2Probe", "3", "3probe", "40", ONLINE, "6", "bAQID", "7", "é", Buffer.from([1, 2, 3]), Buffer.from("2probe"), "4".repeat(100_000)];
  for (const first of [false, true]) {
    for (const packet of garbage) {
      await t.test(`${JSON.stringify(packet).slice(0, 60)}, ${first ? "after the probe" : "at first"}`, async () => {
        const alice = await PollingSession.join(server, "alice");
        const candidate = first ? await alice.probed() : await alice.candidate();
        candidate.send(packet);
        assert.equal(await candidate.closed(), NO_STATUS);
        const held = await alice.hold();
        await alice.send('42["get-activities"]');
        assert.equal((await held.answer).body, '42["activities",[]]');
        await goesOn(alice);
      });
    }
  }
  for (const [name, bytes, code] of [["an unmasked frame", "810135", 1002], ["rubbish", "ff".repeat(64), 1002], ["invalid UTF-8", "818100000000ff", 1007], ["a frame that is too large", "81ff00000000001000000000000032", 1009]]) {
    await t.test(name, async () => {
      const alice = await PollingSession.join(server, "alice");
      const candidate = await alice.candidate();
      candidate.socket.write(Buffer.from(bytes, "hex"));
      assert.equal(await candidate.closed(), code);
      await goesOn(alice);
    });
  }
  assert.deepEqual(await bob.ask("get-activities"), []);
  assert.deepEqual(bob.all("activity"), []);
});

serverTest("a WebSocket that goes away ends only itself", {}, async (server, t) => {
  const ways = {
    closed: async (candidate) => {
      candidate.ws.close();
      await candidate.closed();
    },
    dropped: async (candidate) => candidate.destroy(),
    reset: async (candidate) => candidate.socket.resetAndDestroy(),
    "dropped in a frame": async (candidate) => candidate.socket.end(Buffer.from("81fe", "hex")),
  };
  for (const [name, go] of Object.entries(ways)) {
    for (const probe of [false, true]) {
      await t.test(`${name}, ${probe ? "after the probe" : "at first"}`, async () => {
        const alice = await PollingSession.join(server, "alice");
        const candidate = probe ? await alice.probed() : await alice.candidate();
        await go(candidate);
        await goesOn(alice);
      });
    }
  }
});

serverTest("a WebSocket that says nothing is closed after the upgrade's deadline, the session goes on", { timeout: 60_000 }, async (server) => {
  const start = performance.now();
  const idle = await Promise.all([false, true].map(async (probe) => {
    const alice = await PollingSession.join(server, "alice");
    return { alice, candidate: probe ? await alice.probed() : await alice.candidate() };
  }));
  await Promise.all(idle.map(async ({ candidate }) => assert.equal(await candidate.closedAtLast(15_000), NO_STATUS)));
  assert.ok(performance.now() - start >= 9900, "before the deadline");
  await Promise.all(idle.map(({ alice }) => goesOn(alice)));
});

serverTest("a second WebSocket gets its 101 and is closed, the first is unharmed", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const first = await alice.candidate();
  const second = async () => assert.equal(await (await alice.candidate()).closed(), NO_STATUS);
  await second();
  first.send("2probe");
  assert.equal(await first.frame(), "3probe");
  await second();
  first.send("5");
  await second();
  await aliveOn(first);
  const eager = await alice.candidate();
  eager.send("2probe");
  eager.send("5");
  eager.send(ONLINE);
  assert.equal(await eager.closed(), NO_STATUS);
  await aliveOn(first);
  await first.leave();
  await alice.gone();
});

serverTest("the session ends while it upgrades: the WebSocket goes with it", NO_GRACE, async (server, t) => {
  const bob = await Player.join(server, "bob");
  const ways = {
    "1 in a POST": (alice) => alice.send("1"),
    "a malformed packet": (alice) => alice.send("7"),
    "two POSTs": async (alice) => {
      const [one, two] = [alice.begin(), alice.begin()];
      await Promise.all([one.answer, two.answer]);
    },
    "an aborted POST": async (alice) => {
      const { socket } = alice.begin();
      await new Promise((resolve) => socket.end(resolve));
    },
  };
  for (const [name, end] of Object.entries(ways)) {
    for (const probe of [false, true]) {
      await t.test(`${name}, ${probe ? "after the probe" : "before"}`, async () => {
        const alice = await PollingSession.join(server, "alice");
        await alice.send(ONLINE);
        assert.equal((await bob.next("activity")).state, "ONLINE");
        const candidate = probe ? await alice.probed() : await alice.candidate();
        await end(alice);
        assert.equal(await candidate.closed(), NO_STATUS);
        assert.equal((await bob.next("activity")).state, "OFFLINE");
        await alice.gone();
      });
    }
  }
});

serverTest("SIGTERM while it upgrades", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const held = await alice.hold();
  const candidate = await alice.candidate();
  const bob = await PollingSession.join(server, "bob");
  const probed = await bob.probed();
  const carol = await (await PollingSession.join(server, "carol")).upgrade();
  await server.stop();
  assert.equal((await held.answer).body, "1");
  assert.equal(await candidate.closed(), NO_STATUS);
  assert.equal(await probed.closed(), NO_STATUS);
  assert.equal(await carol.closed(), NO_STATUS);
});

serverTest("a new key while it upgrades", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const candidate = await alice.candidate();
  const held = await alice.hold();
  await server.command("users", "rotate", "alice");
  assert.equal((await held.answer).body, "41");
  assert.equal(await candidate.closed(), NO_STATUS);
  assert.equal((await alice.get().answer).body, "1");
  await alice.gone();
});

// ---------------------------------------------------------------------------------------------------------------------
// The heartbeat across the switch

const FAST = { env: { ...NO_GRACE.env, ENGINE_PING_INTERVAL_MS: "200", ENGINE_PING_TIMEOUT_MS: "300" } };

serverTest("an upgrade while a ping is unanswered: no pong, no session", FAST, async (server) => {
  const bob = await Player.join(server, "bob");
  const alice = await PollingSession.join(server, "alice");
  await alice.send(ONLINE);
  assert.equal((await bob.next("activity")).state, "ONLINE");
  let packet;
  do packet = await alice.packet();
  while (packet !== "2");
  const start = performance.now();
  const candidate = await alice.upgrade();
  assert.equal(await candidate.closedAtLast(1500), NO_STATUS);
  assert.ok(performance.now() - start >= 250, "too early");
  assert.equal((await bob.next("activity")).state, "OFFLINE");
  await alice.gone();
});

serverTest("an upgrade while a ping is unanswered: the pong on the WebSocket counts", FAST, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  assert.equal(await alice.packet(), "2");
  const candidate = await alice.upgrade();
  for (let i = 0; i < 5; i += 1) {
    candidate.send("3");
    assert.equal(await candidate.frame(), "2");
  }
  assert.equal(await candidate.closed(), NO_STATUS);
});

serverTest("a ping that nobody fetched comes on the WebSocket, once; a silent client ends there too", FAST, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const candidate = await alice.probed();
  // GETs come back with NOOP until one brings the ping; then none is asked for any more.
  candidate.send("5");
  assert.equal(await candidate.frame(), "2");
  assert.equal(await candidate.closed(), NO_STATUS);
});

serverTest("a reset while the WebSocket is being accepted leaves the session on polling", {}, async (server) => {
  for (let round = 0; round < 60; round += 1) {
    const session = await PollingSession.join(server, "alice");
    const path = session.path.replace("transport=polling", "transport=websocket");
    const socket = net.connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    // Gone before the 101, with it, or right behind it: each round hits another moment.
    await new Promise((resolve) => socket.write(upgradeRequest({ path, headers: { "X-Api-Key": server.key("alice") } }), resolve));
    for (let i = 0; i < round % 4; i += 1) await turn();
    socket.resetAndDestroy();
    await session.send(play(round));
    while (ackOf(await session.packet()) !== round);
    await session.send("1");
  }
  // The end of every server test: nothing panicked.
});

const asBefore = (server, descriptors) => until("as many descriptors as before", (open) => open === descriptors, () => server.descriptors());

/** Sends the request for a WebSocket of the session on a connection that reads nothing. */
async function unheard(session) {
  const { server, headers } = session;
  const socket = net.connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  server.adopt(() => socket.destroy());
  await once(socket, "connect");
  const request = upgradeRequest({ path: session.path.replace("polling", "websocket"), headers });
  await new Promise((resolve) => socket.write(request, resolve));
  return socket;
}

serverTest("a client that goes away before it has its 101 leaves nothing behind, and may try again at once", {}, async (server, t) => {
  const reset = async (socket) => {
    socket.resetAndDestroy();
    await once(socket, "close");
  };
  const end = (socket) => new Promise((resolve) => socket.end(resolve));
  const unread = async (socket) => {
    await once(socket, "readable");
    return socket;
  };
  const ways = {
    "a reset with the request": (alice) => server.asleep(async () => reset(await unheard(alice))),
    "the end with the request": (alice) => server.asleep(async () => end(await unheard(alice))),
    "a reset right behind it": async (alice) => reset(await unheard(alice)),
    "the end right behind it": async (alice) => end(await unheard(alice)),
    "a reset with the 101 unread": async (alice) => reset(await unread(await unheard(alice))),
    "the end with the 101 unread": async (alice) => end(await unread(await unheard(alice))),
  };
  const descriptors = server.descriptors();
  for (const [name, go] of Object.entries(ways)) {
    await t.test(name, async () => {
      for (let round = 0; round < 10; round += 1) {
        const alice = await PollingSession.join(server, "alice");
        await go(alice);
        // Well before the deadline of the upgrade.
        (await goesOn(alice)).destroy();
        await asBefore(server, descriptors);
      }
    });
  }
});

const HASTY = { env: { ENGINE_UPGRADE_TIMEOUT_MS: "1000" }, timeout: 60_000 };

serverTest("a 101 that nobody reads: the WebSocket is gone after the upgrade's deadline", HASTY, async (server) => {
  const descriptors = server.descriptors();
  const alice = await PollingSession.join(server, "alice");
  await once(await unheard(alice), "readable");
  (await goesOn(alice)).destroy();
  await asBefore(server, descriptors);
});

serverTest("a flood of probes whose answers nobody reads: memory stays, the session goes on, the upgrade's deadline holds", HASTY, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const candidate = await alice.probed();
  candidate.socket.pause();
  const memory = server.memory();
  const probe = Buffer.from(`818600000000${Buffer.from("2probe").toString("hex")}`, "hex");
  const probes = Buffer.concat(Array(4_000_000).fill(probe));
  candidate.socket.write(probes);
  await alice.alive();
  // Another WebSocket gets through once this one is rejected.
  (await goesOn(alice)).destroy();
  assert.ok(server.memory() - memory < 2048, `from ${memory} to ${server.memory()} KiB`);
  assert.ok(candidate.socket.writableLength > 0, "the server read all of it");
  candidate.destroy();
});
