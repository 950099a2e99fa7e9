// What docs/presence.md shows happens, word for word: each example, on a server of its own, prints what stands below it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { serverTest } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const page = fs.readFileSync(new URL("../docs/presence.md", import.meta.url), "utf8");

/** What differs from run to run: times, and ids of sockets. */
const normal = (text) => text.trim().replace(/\b\d{13}\b/g, "TIME").replace(/"socket_id":"[\w-]{20}"/g, '"socket_id":"ID"');

/** Runs an example until it has printed as many lines as it should. */
async function run(server, language, example, lines) {
  const [program, args, cwd] = language === "js" ? [process.execPath, ["--input-type=module", "--eval", example], here] : ["sh", ["-c", example], server.folder];
  const env = { PATH: process.env.PATH, URL: server.url, KEY: server.key("alice"), FRIEND_KEY: server.key("bob") };
  // In a group of its own: what the shell has started ends with it.
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  let printed = "";
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (complaints += text));
  const done = new Promise((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      printed += text;
      if (printed.trim().split("\n").length >= lines && printed.endsWith("\n")) resolve();
    });
  });
  try {
    await within(10_000, () => `${lines} lines; it printed:\n${printed}${complaints}`, Promise.race([done, closed]));
  } finally {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
    await closed;
  }
  assert.equal(complaints, "");
  return printed;
}

const examples = [...page.matchAll(/^## ([^\n]+)$|^```(js|sh)\n(.*?)^```\n\n```text\n(.*?)^```$/gms)];

test("the page has examples of everything, and what they print", () => {
  assert.equal(examples.filter(([, heading]) => !heading).length, [...page.matchAll(/^```(js|sh)$/gm)].length);
});

let heading;
for (const [, title, language, example, expected] of examples) {
  if (title) {
    heading = title;
    continue;
  }
  serverTest(`docs/presence.md, ${heading}: ${example.trim().split("\n").at(-1)}`, {}, async (server) => {
    const printed = await run(server, language, example, expected.trim().split("\n").length);
    assert.equal(normal(printed), normal(expected));
  });
}
