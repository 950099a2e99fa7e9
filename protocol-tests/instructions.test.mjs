// How many instructions the core needs, counted by callgrind: the same on every run, however busy the machine.
//
// A count that is off by more than 5 % from instructions.json has to be wanted: ACCEPT_INSTRUCTIONS=1 writes down what there
// is. Another compiler makes other code, and the counts are then only shown.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { binary } from "./support/server.mjs";

const baselineFile = new URL("instructions.json", import.meta.url);
const TOLERANCE = 0.05;
const isAccepted = process.env.ACCEPT_INSTRUCTIONS === "1";

const program = path.join(path.dirname(binary()), "examples", "instructions");
const compiler = execFileSync("rustc", ["--version"], { encoding: "utf8" }).trim();
const baseline = fs.existsSync(baselineFile) ? JSON.parse(fs.readFileSync(baselineFile, "utf8")) : { compiler, instructions: {} };
const names = execFileSync(program, { encoding: "utf8" }).trim().split("\n");

/** Instructions of the whole process. Maps and ids are random, so that it differs a little. */
function count(name, times) {
  const { status, stderr } = spawnSync("valgrind", ["--tool=callgrind", "--callgrind-out-file=/dev/null", program, name, String(times)], {
    encoding: "utf8",
    env: { PATH: process.env.PATH },
  });
  assert.equal(status, 0, stderr);
  const [, counted] = /Collected : (\d+)/.exec(stderr) ?? [];
  return Number(counted);
}

/** Instructions of one go: what a process that does it more often needs more. */
function once(name) {
  const [few, many] = name === "fan-out" ? [10, 30] : [1000, 3000];
  return Math.round((count(name, many) - count(name, few)) / (many - few));
}

const found = {};
for (const name of names) {
  test(`instructions: ${name}`, (t) => {
    found[name] = once(name);
    const before = baseline.instructions[name];
    t.diagnostic(`${found[name]} instructions, ${before} before`);
    if (isAccepted) return;
    if (compiler !== baseline.compiler) return t.diagnostic(`the counts of ${baseline.compiler} say nothing about ${compiler}`);
    assert.ok(before !== undefined, `nothing is known of ${name}: ACCEPT_INSTRUCTIONS=1 writes it down`);
    const change = found[name] / before - 1;
    assert.ok(
      Math.abs(change) <= TOLERANCE,
      `${name} takes ${found[name]} instructions, ${(100 * change).toFixed(1)} % more than the ${before} of instructions.json. If that is wanted, ` +
        "write it down: ACCEPT_INSTRUCTIONS=1 node --test instructions.test.mjs",
    );
  });
}

// However fast a peer's clock is, it cannot tell what is not there.
test("a wrong key costs the same, however much of it is right", () => {
  const difference = found["nearly-right-key"] / found["wrong-key"] - 1;
  assert.ok(Math.abs(difference) < 0.01, `${(100 * difference).toFixed(2)} % more for one that is nearly right`);
});

test("instructions.json names what there is", () => {
  if (isAccepted) fs.writeFileSync(baselineFile, `${JSON.stringify({ compiler, instructions: found }, null, 2)}\n`);
  else assert.deepEqual(Object.keys(baseline.instructions), names);
});
