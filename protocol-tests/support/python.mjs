// Programs in Python, with the packages of requirements.txt.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { within } from "./wait.mjs";

/** A Python that has requirements.txt; `run` makes one. */
export const PYTHON = process.env.ROLLCALL_PYTHON ?? "python3";

/** Runs Python with these arguments and waits for its end; `{code, output}`. `input` is for its standard input. */
export async function runPython(server, args, { input = "", env = {}, milliseconds = 30_000 } = {}) {
  const child = spawn(PYTHON, args, { cwd: server.folder, stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
  server.adopt(() => child.kill("SIGKILL"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  child.stdin.on("error", () => {}); // it may end without having read it
  child.stdin.end(input);
  const [code] = await within(milliseconds, () => `the end of ${args.slice(0, 3).join(" ")}: ${output}`, once(child, "close"));
  return { code, output };
}

/** The same, which must end well; what it said. */
export async function python(server, ...args) {
  const { code, output } = await runPython(server, args);
  assert.equal(code, 0, output);
  return output;
}
