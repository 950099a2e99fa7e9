// More changes at once than anybody keeps for a client that does not read.

import { RawSession } from "./raw.mjs";

/** So many changes of one user are published at once. */
export const BURST = 256;

/** The users of a server that is flooded: one who is slow, one who is late, and those who change. */
export const MANY = ["slow", "late", ...Array.from({ length: 48 }, (_, i) => `user${i}`)];

/** All others, one after the other, change as often as they may at once: 8 MB, more than the ring and a kernel keep for one. */
export async function flood(server) {
  const details = "😀".repeat(128);
  const sessions = [];
  for (const name of MANY.slice(2)) {
    const session = await RawSession.join(server, name);
    session.socket.cork();
    for (let game_id = 1; game_id <= BURST; game_id += 1) {
      session.send(`420["set-activity",{"state":"PLAYING","game_id":${game_id},"details":"${details}"}]`);
    }
    session.socket.uncork();
    for (let acks = 0; acks < BURST; ) acks += (await session.frame()).startsWith("430[") ? 1 : 0;
    sessions.push(session);
  }
  return sessions;
}
