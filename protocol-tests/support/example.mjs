// The programs beside the server: "conformance", for the official protocol suites, and "support-server", for clients. Both serve anyone.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { binary } from "./server.mjs";
import { within } from "./wait.mjs";

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** A test with a program of its own; `env` is what it is told. What `body` gets is `{port, url, adopt}`. */
export function exampleTest(example, name, env, body) {
  test(name, { timeout: 60_000 }, async (t) => {
    const program = path.join(path.dirname(binary()), "examples", example);
    assert.ok(fs.existsSync(program), `there is no ${program}: run \`cargo build --release --example ${example}\``);
    const child = spawn(program, [], { env: { PORT: "0", RUST_BACKTRACE: "1", ...env }, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    const ended = once(child, "close").finally(() => running.delete(child));
    const clients = [];
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    try {
      const [line] = await within(10_000, "the line that says the address", once(createInterface({ input: child.stdout }), "line"));
      const [, url, port] = /^listening on (http:\/\/127\.0\.0\.1:(\d+))$/.exec(line);
      await body({ port: Number(port), url, adopt: (close) => clients.push(close) }, t);
      assert.equal(child.exitCode ?? child.signalCode, null, "the program ended before the test did");
    } finally {
      for (const close of clients) close();
      child.kill("SIGKILL");
      await ended;
      // It says nothing unless something is wrong.
      if (stderr !== "") process.stderr.write(stderr);
    }
    assert.doesNotMatch(stderr, /panicked at/);
  });
}
