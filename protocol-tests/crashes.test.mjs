// Ends: SIGTERM in the middle of the herd, and SIGKILL in the middle of everything. Afterwards all is as it should be.
//
//     node --test crashes.test.mjs                                       one seed, and a smaller herd: what CI has time for
//     CRASHES_SEEDS=50 node --test crashes.test.mjs                      1 to 50
//     CRASHES_FIRST=42 CRASHES_SEEDS=1 node --test crashes.test.mjs      one again

import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Believer, WAYS } from "./support/believer.mjs";
import { anyDoing, converge } from "./support/convergence.mjs";
import { number, Random } from "./support/random.mjs";
import { serverTest } from "./support/server.mjs";
import { until, within } from "./support/wait.mjs";

const crowd = (each) => Object.keys(WAYS).flatMap((way) => Array.from({ length: each }, (_, index) => `${way} ${index}`));

/**
 * A believer a user, on the transport that its name says. All are in this process: that it is slow to look at an answer must not make it give up, and
 * all the others slower.
 */
const believe = (server, names) => names.map((name) => new Believer(server, name, name.split(" ")[0], { timeout: 20_000 }));

// ---------------------------------------------------------------------------------------------------------
// SIGTERM.

const herd = crowd(process.env.CRASHES_SEEDS === undefined ? 30 : 100);

/**
 * An official client whose server is gone in the middle of its upgrade has paused its polling, and notices nothing until no heartbeat comes, which is 45
 * seconds by default.
 */
const env = { ACTIVITY_GRACE_SECONDS: "3", ENGINE_PING_INTERVAL_MS: "1000", ENGINE_PING_TIMEOUT_MS: "4000" };

serverTest(`SIGTERM while ${herd.length} clients come: it ends in time, nobody hangs, and all come back`, { users: ["sentinel", ...herd], env, timeout: 120_000 }, async (server, t) => {
  const believers = believe(server, herd);
  believers.forEach((believer, index) => believer.act({ state: "PLAYING", game_id: 1 + (index % 7) }));
  const there = () => believers.filter(({ socket }) => socket.connected).length;
  const enough = herd.length / 4;
  const some = new Promise((resolve) => believers.forEach(({ socket }) => socket.on("connect", () => there() >= enough && resolve())));
  await within(30_000, "some to be there", some);
  const count = there();
  // Within five seconds, and with code 0.
  await server.stop();
  await until("everyone to know", (count) => count === 0, there, 30_000);
  // This one stays, and the herd may take as long as this process needs for it.
  for (const name of ["ENGINE_PING_TIMEOUT_MS", "ENGINE_UPGRADE_TIMEOUT_MS"]) server.set(name, "60000");
  await server.startAgain();
  const sentinel = new Believer(server, "sentinel", "websocket");
  const ms = await converge(server, [...believers, sentinel], sentinel);
  t.diagnostic(`SIGTERM when ${count} of ${herd.length} were there; all were right ${ms.toFixed(0)} ms after the next start`);
});

// ---------------------------------------------------------------------------------------------------------
// SIGKILL.

const FIRST = number("CRASHES_FIRST", 1);
const SEEDS = number("CRASHES_SEEDS", 1);
/** How often the server is killed for each seed. */
const KILLS = 8;

/** What may lie beside the user file: what is written, the locks of those who write, and a draft of each of whoever was killed. */
const KNOWN = ["users.json", "users.activities.json", "users.last-seen.json"].flatMap((name) => [name, `${name}.lock`, `.${name}.new`]);

/** All there is can be read, is private, and is no more than there may be. */
function isWhole(server) {
  for (const name of fs.readdirSync(server.folder)) {
    assert.ok(KNOWN.includes(name), `${name} was left`);
    const file = path.join(server.folder, name);
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    // Someone changes the users just now, and has finished a draft.
    if (stat === undefined && name.startsWith(".")) continue;
    assert.equal(stat.mode & 0o077, 0, `others may read ${name}`);
    if (name.endsWith(".json")) JSON.parse(fs.readFileSync(file, "utf8"));
  }
}

/** Changes the users again and again until `isOver`; some of those who do are killed. The names of those who were added for certain, with their keys. */
async function changeUsers(server, random, isOver) {
  const added = new Map();
  for (let number = 1; !isOver(); number += 1) {
    const name = `user ${number}`;
    const child = server.spawn(["users", "add", name]);
    child.stdin.end();
    let key = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (key += text));
    child.stderr.resume();
    const timer = random.chance(50) ? setTimeout(() => child.kill("SIGKILL"), random.below(20)) : undefined;
    const [code] = await once(child, "close");
    clearTimeout(timer);
    if (code === 0) added.set(name, key.trim());
  }
  return added;
}

for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
  const names = crowd(3);
  serverTest(`SIGKILL, ${KILLS} times, in the middle of reports and changes of the users: no file is broken, nothing is lost (seed ${seed})`, { users: ["sentinel", ...names], env, timeout: 120_000 }, async (server, t) => {
    const random = new Random(seed);
    const believers = believe(server, names);
    let isOver = false;
    const changing = changeUsers(server, new Random(-seed), () => isOver);
    t.after(() => (isOver = true));
    for (let kill = 0; kill < KILLS; kill += 1) {
      const end = performance.now() + random.below(500);
      while (performance.now() < end) {
        random.pick(believers).act(anyDoing(random));
        await pause(random.below(10));
      }
      // What is known is written down when it is told to stop, so that is the moment to kill it.
      if (random.chance(60)) {
        server.signal("SIGTERM");
        await pause(random.below(12));
      }
      await server.kill();
      isWhole(server);
      await server.startAgain();
    }
    isOver = true;
    const added = await changing;
    const sentinel = new Believer(server, "sentinel", "websocket");
    const ms = await converge(server, [...believers, sentinel], sentinel);
    t.diagnostic(`${added.size} users were added for certain; all were right ${ms.toFixed(0)} ms after the last start`);
    assert.ok(added.size > 0, "nobody was added");
    const keys = new Map(server.users().map(({ username, api_key: key }) => [username, key]));
    for (const [name, key] of added) assert.equal(keys.get(name), key, `${name} was added, and is lost`);

    // One more of each, and nothing is left of those who were killed.
    await server.command("users", "add", "last");
    await server.stop();
    isWhole(server);
    assert.deepEqual(fs.readdirSync(server.folder).filter((name) => name.startsWith(".users.json")), []);
    assert.match(await server.command("check"), /^# The user file is good\. Users: \d+/m);
  });
}
