// The limits as an operator sets them, on the real binary; each at its edge is in `limits.rs`.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { Player, WholePlayer } from "./support/player.mjs";
import { ask, PollingSession } from "./support/polling.mjs";
import { exchange, RawSession, upgradeRequest } from "./support/raw.mjs";
import { serverTest } from "./support/server.mjs";

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
