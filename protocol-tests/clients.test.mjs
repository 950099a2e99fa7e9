// The official clients of three generations in one room, each on every transport.

import assert from "node:assert/strict";
import { TRANSPORTS, VERSIONS } from "./support/client.mjs";
import { Player } from "./support/player.mjs";
import { serverTest } from "./support/server.mjs";

const ALLOWED = { env: { ENGINE_ALLOW_EIO3: "true" } };
const MIXED = Object.entries(VERSIONS).flatMap(([version, connect]) =>
  Object.entries(TRANSPORTS).map(([name, transports]) => ({ version, name: `${version}, ${name}`, options: { connect, transports } })),
);
const ROOM = { ...ALLOWED, users: MIXED.map(({ name }) => name), timeout: 60_000 };

async function room(server) {
  const players = [];
  for (const { name, options } of MIXED) {
    const player = await Player.join(server, name, options);
    if (options.transports.length === 2) await player.upgraded();
    assert.equal(player.transport, options.transports.at(-1));
    players.push(player);
  }
  return players;
}

serverTest("clients 2.5, 3.1 and 4.8, each with default transports, polling only, WebSocket only: all see all", ROOM, async (server) => {
  const players = await room(server);
  const socketIds = [];
  for (const [index, player] of players.entries()) {
    for (const report of [{ state: "ONLINE" }, { state: "PLAYING", game_id: 42 }, { state: "BUSY" }]) {
      const { status, activity } = await player.ask("set-activity", report);
      assert.equal(status, "ok");
      const { socket_id, ...rest } = activity;
      assert.deepEqual(rest, { user_id: index + 1, ...report });
      // The session's id, by which version 2 calls its socket, is a secret.
      assert.equal(socket_id === player.sid, MIXED[index].version !== "2");
      socketIds[index] = socket_id;
      for (const other of players) assert.deepEqual(await other.next("activity"), activity);
    }
  }
  assert.equal(new Set(socketIds).size, players.length);
  for (const player of players) assert.equal((await player.ask("get-activities")).length, players.length);
  for (const [index, leaver] of players.entries()) {
    await leaver.leave();
    for (const other of players.slice(index + 1)) {
      assert.deepEqual(await other.next("activity"), { user_id: index + 1, socket_id: socketIds[index], state: "OFFLINE" });
    }
  }
});

serverTest("they all come back after a restart", ROOM, async (server) => {
  const players = await room(server);
  await server.stop();
  for (const player of players) assert.match(await player.next("disconnect"), /transport (close|error)/);
  await server.startAgain();
  await Promise.all(players.map((player) => player.joined()));
  for (const [index, player] of players.entries()) {
    await player.ask("set-activity", { state: "ONLINE" });
    for (const other of players) assert.equal((await other.next("activity")).user_id, index + 1);
  }
});

serverTest("a client of version 2 whose key is wrong is told so", ALLOWED, async (server) => {
  for (const transports of Object.values(TRANSPORTS)) {
    const player = new Player({ url: server.url, key: () => "f".repeat(64), adopt: (close) => server.adopt(close) }, "nobody", { connect: VERSIONS[2], transports });
    assert.ok(await player.next("connect_error"));
    player.socket.close();
  }
});
