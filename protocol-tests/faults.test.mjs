// Faults of the network: a proxy (support/faulty-proxy.mjs) stands between official clients, on all transports, and the server. Whatever it does to their
// connections, everyone believes in the end what the server knows, and that is what was done.
//
//     node --test faults.test.mjs                                         one seed, and less of all: what CI has time for
//     FAULTS_SEEDS=50 node --test faults.test.mjs                         1 to 50
//     FAULTS_FIRST=42 FAULTS_SEEDS=1 node --test faults.test.mjs          one again
//
// A seed draws what is done, when, and what happens to which connection; how fast the machine is, it cannot draw.

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { io } from "socket.io-client";
import { Believer, WAYS } from "./support/believer.mjs";
import { anyDoing, converge } from "./support/convergence.mjs";
import { FAULTS, Proxy, splitBehind } from "./support/faulty-proxy.mjs";
import { number, Random } from "./support/random.mjs";
import { Server } from "./support/server.mjs";
import { until, within } from "./support/wait.mjs";

const IS_SHORT = process.env.FAULTS_SEEDS === undefined;
/** So many on each transport. */
const EACH = IS_SHORT ? 3 : 5;
const FIRST = number("FAULTS_FIRST", 1);
const SEEDS = number("FAULTS_SEEDS", 1);
/** How long faults happen. */
const CHAOS_MS = IS_SHORT ? 2500 : 4000;
/** How much longer all may take on a machine that is busy. */
const PATIENCE_MS = 20_000;

const names = Object.keys(WAYS).flatMap((way) => Array.from({ length: EACH }, (_, index) => `${way} ${index}`));

/**
 * Who is silent is noticed within four seconds, and what it did forgotten after one more. Shorter, and on a busy machine this process would be too slow
 * for its own clients: they would be lost as fast as they come.
 */
const IMPATIENT = {
  ACTIVITY_GRACE_SECONDS: "1",
  ENGINE_PING_INTERVAL_MS: "1500",
  ENGINE_PING_TIMEOUT_MS: "2500",
  ENGINE_POLL_TIMEOUT_MS: "4000",
  ENGINE_POST_TIMEOUT_MS: "5000",
  ENGINE_UPGRADE_TIMEOUT_MS: "4000",
};

/** A server of its own, with what `body` asks for in front of it. */
async function faced(body, env = {}) {
  const server = await Server.start({ users: ["sentinel", ...names], env });
  try {
    await body(server);
    await server.finish();
  } catch (error) {
    if (error instanceof Error) error.stack += server.report();
    throw error;
  } finally {
    await server.remove();
  }
}

/** What happens when `percent` of all connections have one of `faults`. */
async function chaos(t, seed, faults, percent) {
  await faced(async (server) => {
    const before = server.descriptors();
    const random = new Random(seed);
    const proxy = await Proxy.random(random, faults, percent).listen(() => server.port);
    // What one asks twice is answered once, and the other has missed it.
    const mayMiss = faults.includes("duplicate");
    const believers = names.map((name) => new Believer(server, name, name.split(" ")[0], { port: proxy.port, mayMiss, timeout: 5000 }));
    const sentinel = new Believer(server, "sentinel", "websocket");
    const end = performance.now() + CHAOS_MS;
    const lacking = () => faults.filter((fault) => proxy.counts[fault] === undefined);
    while (performance.now() < end || (lacking().length > 0 && performance.now() < end + PATIENCE_MS)) {
      random.pick(believers).act(anyDoing(random));
      await pause(random.below(200));
    }
    proxy.heal();
    const ms = await converge(server, [...believers, sentinel], sentinel);
    const joins = believers.reduce((sum, believer) => sum + believer.joins, 0);
    t.diagnostic(`${JSON.stringify(proxy.counts)}; ${joins} times ${believers.length} clients came; all were right ${ms.toFixed(0)} ms after the last fault`);
    assert.deepEqual(lacking(), [], "these did not happen");
    for (const { socket } of [...believers, sentinel]) socket.disconnect();
    await proxy.close();
    await until("nothing to be left of all that", (open) => open <= before, () => server.descriptors(), PATIENCE_MS);
  }, IMPATIENT);
}

const all = Object.keys(FAULTS);

for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
  describe(`faults of the network, seed ${seed}`, { concurrency: true, timeout: 120_000 }, () => {
    for (const fault of all) {
      test(`${fault}: in the end everyone believes what is so (seed ${seed})`, (t) => chaos(t, seed, [fault], 60));
    }
    test(`all faults at once: in the end everyone believes what is so (seed ${seed})`, (t) => chaos(t, seed, all, 70));
  });
}

/** The short form splits behind every fifth byte. */
const STRIDE = IS_SHORT ? 5 : 1;

/** Comes, is answered, and goes. */
async function visit(server, port, way, name, game_id) {
  const socket = io(`http://127.0.0.1:${port}`, {
    ...WAYS[way],
    extraHeaders: { "X-Api-Key": server.key(name) },
    forceNew: true,
    reconnection: false,
  });
  server.adopt(() => socket.disconnect());
  try {
    await within(PATIENCE_MS, "the connection", new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject)));
    const { engine } = socket.io;
    if (way === "upgrade" && engine.transport.name !== "websocket") await within(PATIENCE_MS, "the upgrade", once(engine, "upgrade"));
    const { status, activity } = await socket.timeout(PATIENCE_MS).emitWithAck("set-activity", { state: "PLAYING", game_id });
    assert.deepEqual([status, activity.state, activity.game_id], ["ok", "PLAYING", game_id]);
  } finally {
    socket.disconnect();
  }
}

describe("what a client sends, split behind each of its bytes, is what it was", { concurrency: true, timeout: 120_000 }, () => {
  for (const way of Object.keys(WAYS)) {
    test(`split behind each byte: ${way}`, (t) => faced(async (server) => {
      let bytes = Infinity;
      const splits = (function* () {
        for (let behind = 1; behind < bytes; behind += STRIDE) yield behind;
      })();
      const worker = async (name) => {
        for (const behind of splits) {
          const proxy = await new Proxy(() => splitBehind(behind)).listen(() => server.port);
          try {
            await visit(server, proxy.port, way, name, behind);
          } catch (error) {
            throw new Error(`split behind byte ${behind}: ${error.message}`, { cause: error });
          } finally {
            await proxy.close();
          }
          // None was longer, so all is done.
          if (proxy.longest < behind) bytes = Math.min(bytes, behind);
        }
      };
      await Promise.all(names.map(worker));
      t.diagnostic(`${bytes} bytes`);
    }));
  }
});
