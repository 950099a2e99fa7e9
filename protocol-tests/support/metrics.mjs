// The metrics of a server, as Prometheus would read them.

import assert from "node:assert/strict";
import { DEADLINE_MS } from "./wait.mjs";

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\\n]*)"\})? ([-+]?[0-9.e+-]+|\+Inf|NaN)$/;

/** Reads the text format, strictly: every sample has a type and a help above it, and none comes twice. */
export function parse(text) {
  assert.ok(text.endsWith("\n"), "the last line has an end");
  const metrics = new Map();
  let current;
  for (const line of text.slice(0, -1).split("\n")) {
    const [, what, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (what === "HELP") {
      assert.ok(!metrics.has(name), `${name} comes twice`);
      current = { name, help: rest, samples: new Map() };
      metrics.set(name, current);
    } else if (what === "TYPE") {
      assert.equal(name, current.name);
      current.type = rest;
    } else {
      const [, sample, label, of, value] = SAMPLE.exec(line) ?? assert.fail(`this is no sample: ${line}`);
      const suffixes = current.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
      assert.ok(suffixes.some((suffix) => sample === current.name + suffix), line);
      const key = [sample.slice(current.name.length), label, of].filter(Boolean).join(" ");
      assert.ok(!current.samples.has(key), `${line} comes twice`);
      current.samples.set(key, Number(value.replace("+Inf", "Infinity")));
    }
  }
  return metrics;
}

/** All metrics as they are now. */
export async function scrape(url) {
  const response = await fetch(`${url}/metrics`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return parse(await response.text());
}

/** One value, such as `metric(server, "rollcall_sessions", "state", "polling")`. */
export async function metric(server, name, ...label) {
  const metrics = await scrape(server.url);
  const value = metrics.get(name)?.samples.get(label.join(" "));
  assert.notEqual(value, undefined, `there is no ${name} ${label.join(" ")}`);
  return value;
}

/** How often a limit was reached. */
export const reached = (server, limit) => metric(server, "rollcall_limits_hit_total", "limit", limit);

/** Waits until a value is what it should be. */
export async function metricBecomes(expected, server, ...which) {
  const end = performance.now() + DEADLINE_MS;
  let found;
  do {
    found = await metric(server, ...which);
  } while (found !== expected && performance.now() < end);
  assert.equal(found, expected, which.join(" "));
}
