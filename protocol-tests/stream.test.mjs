// Activities as server-sent events: a snapshot, then each change, and where to go on after a break.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { reached } from "./support/metrics.mjs";
import { WholePlayer as Player } from "./support/player.mjs";
import { httpRequest } from "./support/raw.mjs";
import { serverTest } from "./support/server.mjs";
import { Reader, STREAM } from "./support/stream.mjs";
import { until, within } from "./support/wait.mjs";

/** How many changes the server keeps for those who come back. */
const RING = 1024;

/** A running server takes a change of its users within this. */
const USERS_CHANGE_MS = 2000;

const parts = (id) => id.split("-").map(Number);

serverTest("a snapshot first, then each change, as everyone else is told", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  await alice.ask("set-activity", { state: "PLAYING", game_id: 7, details: "a \u2028 line" });
  const playing = await alice.next("activity");
  const reader = await Reader.open(server, { name: "bob" });
  assert.equal(reader.status, 200);
  const { headers } = reader.response;
  assert.deepEqual([headers["content-type"], headers["cache-control"], headers["x-accel-buffering"]], ["text/event-stream", "no-store", "no"]);
  assert.equal(headers["access-control-allow-origin"], "*");

  const { seq, ...shown } = playing;
  const opening = await reader.next();
  const [epoch] = parts(opening.id);
  assert.ok(Math.abs(Date.now() - epoch) < 60_000, "the epoch is when this life began");
  assert.deepEqual(opening, { id: `${epoch}-${seq}`, event: "activities", data: [shown] });
  const seen = [];
  for (const state of ["BUSY", "ONLINE", "OFFLINE"]) {
    alice.emit("set-activity", { state });
    const told = await alice.next("activity");
    assert.equal(told.state, state);
    seen.push({ id: `${epoch}-${told.seq}`, event: "activity", data: told });
    assert.deepEqual(await reader.next(), seen.at(-1));
  }
  // Who reads only now gets the same from what is kept.
  const late = await Reader.open(server, { name: "carol", headers: { "Last-Event-ID": opening.id } });
  for (const event of seen) assert.deepEqual(await late.next(), event);
});

serverTest("who comes back with an id of this life goes on where it was", {}, async (server) => {
  const alice = await Player.join(server, "alice");
  const say = async (state) => (await alice.ask("set-activity", { state }), (await alice.next("activity")).seq);
  const reader = await Reader.open(server, { name: "bob" });
  const [epoch] = parts((await reader.next()).id);
  reader.close();
  assert.deepEqual([await say("ONLINE"), await say("BUSY"), await say("ONLINE")], [1, 2, 3]);

  const kinds = async (options, count) => {
    const again = await Reader.open(server, { name: "bob", ...options });
    const events = [];
    while (events.length < count) events.push(await again.next());
    const last = await say(events.length % 2 ? "BUSY" : "ONLINE").catch(() => 0);
    return [events.map(({ id, event }) => `${event} ${parts(id)[1]}`), last, again];
  };
  const header = (id) => ({ headers: { "Last-Event-ID": id } });
  const query = (id) => ({ path: `${STREAM}?x=1&last_event_id=${id}` });
  assert.deepEqual((await kinds(header(`${epoch}-0`), 3))[0], ["activity 1", "activity 2", "activity 3"]);
  assert.deepEqual((await kinds(query(`${epoch}-1`), 2))[0].slice(0, 2), ["activity 2", "activity 3"]);
  assert.deepEqual((await kinds({ ...header(`${epoch}-2`), ...query(`${epoch}-0`) }, 1))[0], ["activity 3"], "the header counts");

  // Another life, the future, or no id at all.
  for (const id of [`${epoch + 1}-2`, `${epoch}-999`, `${epoch}-99999999999999999999`, "-", "x-y", "", `${epoch}`, `${epoch}--1`]) {
    const other = await Reader.open(server, { name: "bob", ...header(id) });
    assert.equal((await other.next()).event, "activities", id);
    other.close();
  }
  // Up to date: nothing, until there is news.
  const { seq } = (await alice.ask("set-activity", { state: "PLAYING", game_id: 1 }), await until("the change", (known) => known?.state === "PLAYING", () => alice.all("activity").at(-1)));
  const current = await Reader.open(server, { name: "bob", ...header(`${epoch}-${seq}`) });
  alice.emit("set-activity", { state: "PLAYING", game_id: 2 });
  const news = await current.next();
  assert.deepEqual([news.event, news.data.game_id], ["activity", 2]);
});

/** Lets every user change so often, which is less than may be published at once; gives the number of the last change. */
async function chatter(server, users, changes, details = "") {
  const players = await Promise.all(users.map((name) => Player.join(server, name)));
  // What the others say is not what this is about.
  await Promise.all(players.map((player) => player.ask("watch", { users: [] })));
  for (let round = 1; round < changes; round++) {
    for (const player of players) player.emit("set-activity", { state: round % 2 ? "PLAYING" : "BUSY", details });
  }
  await Promise.all(players.map((player) => player.ask("set-activity", { state: "PLAYING", game_id: changes })));
  return users.length * changes;
}

const crowd = (count) => Array.from({ length: count }, (_, i) => `user${i + 1}`);

serverTest("an id that is not kept any more gets a snapshot", { users: crowd(5) }, async (server) => {
  const reader = await Reader.open(server, { name: "user1" });
  const [epoch] = parts((await reader.next()).id);
  const end = await chatter(server, crowd(5), 240);
  assert.ok(end > RING + 100);
  // Whoever reads all the time misses nothing.
  for (let seq = 1; seq <= end; seq++) {
    const { id, event } = await reader.next();
    if (event === "activities") [seq] = [parts(id)[1]];
    assert.equal(parts(id)[1], seq);
  }
  const behind = await Reader.open(server, { name: "user1", headers: { "Last-Event-ID": `${epoch}-1` } });
  const snapshot = await behind.next();
  assert.deepEqual([snapshot.id, snapshot.event, snapshot.data.length], [`${epoch}-${end}`, "activities", 5]);
  const near = await Reader.open(server, { name: "user1", headers: { "Last-Event-ID": `${epoch}-${end - RING}` } });
  const oldest = await near.next();
  assert.deepEqual([oldest.id, oldest.event], [`${epoch}-${end - RING + 1}`, "activity"]);
});

serverTest("who lags behind gets a snapshot, and is right again", { users: crowd(40), timeout: 60_000 }, async (server) => {
  const reader = await Reader.open(server, { name: "user1" });
  assert.equal((await reader.next()).event, "activities");
  reader.stall();
  // Some 7 MB, far more than the system keeps for one who reads nothing, and the ring has a tenth of it.
  const end = await chatter(server, crowd(40), 250, "\u{1F3AE}".repeat(128));
  reader.goOn();
  const view = new Map();
  let [last, snapshots] = [0, 0];
  while (last < end) {
    const { id, event, data } = await reader.next();
    const [, seq] = parts(id);
    if (event === "activity") assert.equal(seq, last + 1, "no gap but by a snapshot");
    else snapshots += 1;
    assert.ok(seq > last, `${seq} after ${last}`);
    last = seq;
    for (const one of [data].flat()) view.set(one.user_id, one.game_id);
  }
  assert.equal(last, end);
  assert.ok(snapshots > 0, "it did not lag");
  assert.deepEqual([...view.values()], crowd(40).map(() => 250));
});

serverTest("while there is no news there is a heartbeat", { env: { ENGINE_PING_INTERVAL_MS: "50" } }, async (server) => {
  const reader = await Reader.open(server, { name: "bob" });
  await reader.next();
  for (let i = 0; i < 3; i++) await reader.heartbeat();
});

serverTest("there is a limit, and who goes makes room", { env: { ACTIVITY_MAX_STREAMS: "2" } }, async (server) => {
  const first = await Reader.open(server, { name: "alice" });
  const second = await Reader.open(server, { name: "alice" });
  await second.next();
  const third = await Reader.open(server, { name: "alice" });
  assert.deepEqual([third.status, third.response.headers["retry-after"]], [503, "10"]);
  const head = await fetch(server.url + STREAM, { method: "HEAD", headers: { "X-Api-Key": server.key("alice") } });
  assert.equal(head.status, 503, "HEAD as GET");
  assert.equal(await reached(server, "max_streams"), 2);
  first.close();
  await within(5000, "room for another", (async () => {
    while ((await Reader.open(server, { name: "bob" })).status !== 200);
  })());
});

serverTest("HEAD says what GET would, and takes no place", { env: { ACTIVITY_MAX_STREAMS: "1" } }, async (server) => {
  for (let i = 0; i < 3; i++) {
    const head = await fetch(server.url + STREAM, { method: "HEAD", headers: { "X-Api-Key": server.key("alice") } });
    assert.deepEqual([head.status, head.headers.get("content-type")], [200, "text/event-stream"]);
  }
});

serverTest("a stream ends with the server", {}, async (server) => {
  const reader = await Reader.open(server, { name: "bob" });
  await reader.next();
  await server.stop();
  await within(5000, "the end of the stream", reader.ended);
  assert.ok(!/not everyone said goodbye/.test(server.stderr), "and does not hold it up");
  assert.ok(reader.response.complete, "as a whole");
});

serverTest("a stream ends with its user's key", {}, async (server) => {
  const readers = await Promise.all(["alice", "bob", "carol"].map((name) => Reader.open(server, { name })));
  for (const reader of readers) await reader.next();
  await server.command("users", "rotate", "alice");
  await within(USERS_CHANGE_MS, "the end of the stream with the old key", readers[0].ended);
  await server.command("users", "remove", "bob");
  await within(USERS_CHANGE_MS, "the end of the stream of who was removed", readers[1].ended);
  const alice = await Player.join(server, "carol");
  await alice.ask("set-activity", { state: "ONLINE" });
  assert.equal((await readers[2].next()).event, "activity", "others go on");
});

serverTest("read by anyone, a stream ends with nobody's key", { env: { ACTIVITY_PUBLIC_READ: "true" } }, async (server) => {
  const reader = await Reader.open(server);
  assert.equal((await reader.next()).event, "activities");
  const carol = await Player.join(server, "carol");
  await server.command("users", "remove", "alice");
  await server.logged(/the users are as/);
  await carol.ask("set-activity", { state: "ONLINE" });
  assert.equal((await reader.next()).event, "activity");
});

serverTest("a reader that vanishes is forgotten", { env: { ACTIVITY_MAX_STREAMS: "1", ENGINE_PING_INTERVAL_MS: "50" } }, async (server) => {
  for (let i = 0; i < 5; i++) {
    const socket = net.connect(server.port, "127.0.0.1");
    socket.write(httpRequest({ path: STREAM, headers: { "X-Api-Key": server.key("alice") } }));
    await once(socket, "data");
    if (i % 2) socket.resetAndDestroy();
    else socket.destroy();
    await within(5000, "room for another", (async () => {
      for (;;) {
        const reader = await Reader.open(server, { name: "bob" });
        reader.close();
        if (reader.status === 200) return;
      }
    })());
    await within(5000, "room again", (async () => {
      while ((await fetch(server.url + STREAM, { method: "HEAD", headers: { "X-Api-Key": server.key("alice") } })).status !== 200);
    })());
  }
});
