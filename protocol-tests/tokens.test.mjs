// GameVault's access tokens, as its web UI has them, with the official client.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { TRANSPORTS } from "./support/client.mjs";
import { Player } from "./support/player.mjs";
import { serverTest } from "./support/server.mjs";

const SEED = "a seed that GameVault has as well";
const TOKENS = { env: { AUTH_SEED: SEED } };

const hex = (text) => createHash("sha256").update(text).digest("hex");

/** A token of this user, as GameVault signs it. */
function token(id, seconds = 300) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { payload: { sub: String(id), username: "somebody", role: 1 }, iat: now, exp: now + seconds };
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", hex(hex(SEED))).update(signed).digest("base64url")}`;
}

const withToken = (server, name, transports, seconds) => {
  const Authorization = `Bearer ${token(server.id(name), seconds)}`;
  return new Player(server, name, { transports, extraHeaders: { Authorization } });
};

for (const [how, transports] of Object.entries(TRANSPORTS)) {
  serverTest(`a token is as good as a key: ${how}`, TOKENS, async (server) => {
    const bob = await Player.join(server, "bob");
    const alice = withToken(server, "alice", transports);
    await alice.joined();
    const { activity } = await alice.ask("set-activity", { state: "ONLINE" });
    assert.equal(activity.user_id, server.id("alice"));
    assert.deepEqual(await bob.next("activity"), activity);
  });
}

serverTest("one that is over is not", TOKENS, async (server) => {
  assert.ok(await withToken(server, "alice", ["polling"], -1).next("connect_error"));
});
