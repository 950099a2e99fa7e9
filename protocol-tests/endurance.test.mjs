// Thousands that come and never finish: they are gone after their deadlines, and leave nothing behind.

import assert from "node:assert/strict";
import http from "node:http";
import { Player } from "./support/player.mjs";
import { PollingSession } from "./support/polling.mjs";
import { serverTest } from "./support/server.mjs";
import { until } from "./support/wait.mjs";

/** How many go each way: 2,100 sessions that never poll again, and 2,100 upgrades that are never finished. */
const EACH = 700;
const NO_STATUS = 1005;
const GONE_MS = 60_000;
/** In KiB, a quarter of what the 4,200 sessions of a round take: what may be more after the second round than after the first. */
const SLACK = 2048;
/** In KiB: what may be more in the end than before the first came. Half of it is code that was not needed before. */
const KEPT = 4096;

/** Long enough for nearly all to be there at the same time. */
const ENV = { ACTIVITY_GRACE_SECONDS: "0", ENGINE_POLL_TIMEOUT_MS: "4000", ENGINE_UPGRADE_TIMEOUT_MS: "4000" };

/** Each begins something that it does not finish; the WebSockets that will see a close are returned. */
const WAYS = [
  // On long-polling: after the handshake; joined and ONLINE; with a GET that is aborted, which is the end at once.
  async () => {},
  async (session) => session.send("40", '42["set-activity",{"state":"ONLINE"}]'),
  async (session) => void (await session.hold()).request.destroy(),
  // On the way to a WebSocket: after the 101; after the probe; after that and deaf.
  async (session) => session.candidate(),
  async (session) => session.probed(),
  async (session) => void (await session.probed()).socket.pause(),
];

/** Calls `each` for all, a few at a time, with connections that are kept meanwhile. */
async function crowd(all, each) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 100 });
  const rest = all.entries();
  const worker = async () => {
    for (const [index, one] of rest) await each(one, agent, index);
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  agent.destroy();
}

/** How often the log says so. */
const count = (server, pattern) => server.stderr.match(pattern)?.length ?? 0;

serverTest("2,100 sessions never poll again, 2,100 upgrades are never finished: nothing is left of them, twice", { timeout: 180_000, env: ENV }, async (server, t) => {
  const bob = await Player.join(server, "bob");
  const descriptors = server.descriptors();
  const before = server.memory();
  t.diagnostic(`before: ${before} KiB, ${descriptors} descriptors`);
  const rounds = [];
  for (let round = 1; round <= 2; round += 1) {
    const sessions = [];
    const candidates = [];
    await crowd(Array.from({ length: EACH }, () => WAYS).flat(), async (begin, agent) => {
      const session = await PollingSession.open(server, "alice", { agent });
      sessions.push(session);
      const candidate = await begin(session);
      if (candidate) candidates.push(candidate);
    });
    const alive = count(server, /opened on polling/g) - count(server, /session \d+ closed/g);
    t.diagnostic(`round ${round}, at the top: ${server.memory()} KiB, ${server.descriptors()} descriptors, ${alive} sessions`);
    assert.ok(alive > 2 * EACH, `only ${alive} at the same time`);

    await until("the end of all", (ended) => ended === round * EACH * WAYS.length, () => count(server, /session \d+ closed/g), GONE_MS);
    // A GET that is aborted before the server has seen it never was.
    const aborted = count(server, /: transport close \(/g);
    assert.ok(aborted > (round * EACH) / 2 && aborted <= round * EACH, `${aborted} aborted`);
    assert.equal(count(server, /: poll timeout \(/g), round * EACH * WAYS.length - aborted);
    for (const candidate of candidates) assert.equal(await candidate.closedAtLast(), NO_STATUS);
    await crowd(sessions, async (session, agent) => {
      session.agent = agent;
      await session.gone();
    });
    await until("as many descriptors as before", (open) => open === descriptors, () => server.descriptors());
    assert.deepEqual(await bob.ask("get-activities"), []);
    rounds.push(server.memory());
    t.diagnostic(`round ${round}, after: ${rounds.at(-1)} KiB, ${descriptors} descriptors`);
  }
  assert.ok(rounds[1] - rounds[0] < SLACK, `it grows: ${rounds} KiB`);
  assert.ok(rounds[1] - before < KEPT, `it keeps too much: ${before} KiB, and then ${rounds} KiB`);
  assert.deepEqual(bob.all("disconnect"), []);
});
