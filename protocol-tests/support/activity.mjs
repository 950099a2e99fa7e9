// Activities as most tests compare them: without what depends on the moment, which is only looked at.

import assert from "node:assert/strict";

const A_DAY_MS = 86_400_000;

/**
 * The same without `since`, which has to be the time of something that happened lately, and without `seq`, which only the `activity` event
 * has. `value` is an activity, an array of them, or the ack of `set-activity`; anything else stays as it is.
 */
export function bare(value, { hasSeq = false } = {}) {
  if (Array.isArray(value)) return value.map((item) => bare(item, { hasSeq }));
  if (value === null || typeof value !== "object") return value;
  if (value.activity !== undefined) return { ...value, activity: bare(value.activity, { hasSeq }) };
  if (value.user_id === undefined) return value;
  const { since, seq, ...rest } = value;
  const age = Date.now() - since;
  // Two clocks of one machine may be a little apart.
  assert.ok(Number.isSafeInteger(since) && age > -1000 && age < A_DAY_MS, `since when? ${JSON.stringify(value)}`);
  if (hasSeq) assert.ok(Number.isSafeInteger(seq) && seq >= 0, `its place among the changes? ${JSON.stringify(value)}`);
  else assert.equal(seq, undefined, JSON.stringify(value));
  return rest;
}

/** The same for what an event brings. */
export function bareEvent(event, argument) {
  return bare(argument, { hasSeq: event === "activity" });
}
