// What must be so in the end, whatever happened: what follows from what was done is what the server knows, and what everyone believes.

import { isDeepStrictEqual } from "node:util";
import { setTimeout as pause } from "node:timers/promises";

/** How long it may take after the last fault: a silence has to be noticed on both sides, and the grace has to pass, on a machine that is busy. */
const CONVERGE_MS = 60_000;

/** What a player may do; often the same again. */
export function anyDoing(random) {
  const state = random.pick(["ONLINE", "BUSY", "PLAYING", "PLAYING", "OFFLINE"]);
  return state === "PLAYING" ? { state, game_id: 1 + random.below(5) } : { state };
}

/** What the server knows, by user id. */
export async function truth(server, name) {
  const response = await fetch(`${server.url}/api/activities`, { headers: { "X-Api-Key": server.key(name), Connection: "close" } });
  if (response.status !== 200) throw new Error(`GET /api/activities: ${response.status} ${await response.text()}`);
  return response.json();
}

const shown = ({ user_id, state, game_id }) => ({ user_id, state, ...(game_id === undefined ? {} : { game_id }) });

/**
 * Waits until all is as it should be: each of `believers` is there, the server knows what they do and nothing else, and each believes what the server
 * knows, and has heard what `sentinel`, one of them, has done only now.
 */
export async function converge(server, believers, sentinel) {
  const start = performance.now();
  sentinel.act({ state: "PLAYING", game_id: 1_000_000 + Math.floor(start) });
  const expected = believers
    .filter(({ doing }) => doing !== undefined && doing.state !== "OFFLINE")
    .map(({ userId, doing }) => shown({ user_id: userId, ...doing }))
    .sort((one, other) => one.user_id - other.user_id);
  for (;;) {
    const known = await truth(server, sentinel.name);
    const trouble = unlike(believers, known, expected);
    for (const { name, way, wrong } of believers) {
      if (wrong.length > 0) throw new Error(`${name}, on ${way}: ${wrong.join("; ")}`);
    }
    if (trouble === undefined) return performance.now() - start;
    if (performance.now() - start > CONVERGE_MS) throw new Error(`after ${CONVERGE_MS} ms ${trouble}`);
    await pause(50);
  }
}

/** What is not as it should be yet. */
function unlike(believers, known, expected) {
  if (!isDeepStrictEqual(known.map(shown), expected)) {
    return `the server knows ${JSON.stringify(known.map(shown))}, and what was done is ${JSON.stringify(expected)}`;
  }
  for (const { name, way, view, socket } of believers) {
    if (!socket.connected) return `${name}, on ${way}, is not there`;
    if (!isDeepStrictEqual(view, known)) return `${name}, on ${way}, believes ${JSON.stringify(view)}, and the server knows ${JSON.stringify(known)}`;
  }
  return undefined;
}
