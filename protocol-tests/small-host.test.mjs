// Small hosts: what docs/deploy.md says of them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { test } from "node:test";
import { Player } from "./support/player.mjs";
import { RawSession } from "./support/raw.mjs";
import { serverTest } from "./support/server.mjs";

const CLIENTS = 2000;
/** So many of them report; everyone learns of each. */
const SPEAKERS = 40;
/** Where an allocation beyond fails: 32 MiB of data. */
const WITHIN = ["prlimit", `--data=${32 << 20}`];

const page = fs.readFileSync(new URL("../docs/deploy.md", import.meta.url), "utf8");
const [, block] = /<!-- small -->([^]*?)<!-- \/small -->/.exec(page);
const env = Object.fromEntries(block.match(/^[A-Z_]+=\d+/gm).map((line) => line.split("=")));

/** Reads until it knows of so many users. */
async function learns(session, many) {
  const known = new Set(session.activities.map(({ user_id }) => user_id));
  while (known.size < many) {
    const frame = await session.frame();
    if (!frame.startsWith("42")) continue;
    const [event, what] = JSON.parse(frame.slice(2));
    assert.match(event, /^activit(y|ies)$/);
    for (const { user_id } of [what].flat()) known.add(user_id);
  }
}

const users = Array.from({ length: CLIENTS }, (_, i) => `user${i}`);

serverTest(`${CLIENTS} clients within 32 MiB`, { users, env, within: WITHIN, timeout: 180_000 }, async (server, t) => {
  const sessions = [];
  for (let from = 0; from < CLIENTS; from += 100) {
    const names = users.slice(from, from + 100);
    sessions.push(...(await Promise.all(names.map((name) => RawSession.join(server, name)))));
  }
  t.diagnostic(`${server.memory()} KiB with all of them`);
  for (const session of sessions.slice(0, SPEAKERS)) session.send('42["set-activity",{"state":"PLAYING","game_id":7}]');
  await Promise.all(sessions.map((session) => learns(session, SPEAKERS)));
  t.diagnostic(`${server.memory()} KiB when all know of ${SPEAKERS}`);
  for (const session of sessions) session.destroy();
});

const statically = process.env.ROLLCALL_STATIC_BIN;

if (statically) {
  test("the static build needs no library", () => {
    // Of what is static ldd says so: where it is independent of its position, and where it is not, and fails then.
    const said = execFileSync("sh", ["-c", 'ldd "$1" 2>&1 || true', "sh", statically], { encoding: "utf8" });
    assert.match(said, /statically linked|not a dynamic executable/);
  });

  serverTest("the static build: come, report, leave", { program: () => statically }, async (server, t) => {
    t.diagnostic(`${server.memory()} KiB at the start`);
    const alice = await Player.join(server, "alice");
    assert.equal((await alice.ask("set-activity", { state: "ONLINE" })).status, "ok");
    assert.equal((await alice.next("activity")).state, "ONLINE");
    await alice.leave();
  });
}
