// The limits as an operator sets them, on the real binary; each at its edge is in `limits.rs`.

import assert from "node:assert/strict";
import { Player } from "./support/player.mjs";
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
