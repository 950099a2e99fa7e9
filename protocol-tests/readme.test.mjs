// What the README and the first start tell a newcomer to paste works as it stands.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { serverTest } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Runs a program of Node's where the client is installed, until it has printed a line that matches. */
async function runUntil(pattern, args, env = {}) {
  const child = spawn(process.execPath, args, { cwd: here, env: { PATH: process.env.PATH, ...env } });
  let printed = "";
  try {
    const matched = (async () => {
      for await (const line of createInterface({ input: child.stdout })) {
        printed += `${line}\n`;
        if (pattern.test(printed)) return;
      }
      assert.fail(`it ended without ${pattern}, after printing:\n${printed}`);
    })();
    await within(10_000, `${pattern} to be printed`, matched);
  } finally {
    child.kill();
    await once(child, "close");
  }
  return printed;
}

serverTest("the README's example", {}, async (server) => {
  const readme = fs.readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const [, example] = /```js\n([\s\S]*?)```/.exec(readme);
  assert.ok(example.trim().split("\n").length <= 20, "the example has at most 20 lines");
  const env = { URL: server.url, KEY: server.key("alice") };
  const printed = await runUntil(/^ok \{/m, ["--input-type=module", "--eval", example], env);
  assert.match(printed, /^known: \[\]$/m);
  assert.match(printed, /^user 1: PLAYING 42$/m);
});

serverTest("the first start prints a key, once, and an example that works", {}, async (server) => {
  await server.stop();
  fs.rmSync(server.usersFile);
  await server.start();
  const example = /node -e '\n([\s\S]*?)'\n/;
  await server.printed(example);
  const key = server.users()[0].api_key;
  assert.equal(server.users()[0].username, "admin");
  assert.equal(fs.statSync(server.usersFile).mode & 0o777, 0o600);
  assert.ok(server.stdout.includes(key) && !server.stderr.includes(key), "the key is printed, not logged");
  const printed = await runUntil(/ONLINE/, ["--eval", example.exec(server.stdout)[1]]);
  assert.match(printed, /activities \[\]/);

  await server.stop();
  await server.start();
  await server.stop();
  assert.ok(!server.stdout.includes(key), "the second start does not print it");
});
