// `rollcall users password` at a terminal, where it asks twice and shows nothing of what is typed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { binary, serverTest } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

const PYTHON = process.env.ROLLCALL_PYTHON ?? "python3";
const SCRIPT = fileURLToPath(new URL("python_terminal.py", import.meta.url));
const FIRST = 'New password for "alice": ';
const SECOND = "The same once more: ";

/** What a person sees who types these answers. */
async function terminal(server, answers) {
  const args = [SCRIPT, JSON.stringify(answers), binary(), "users", "password", "alice"];
  const child = spawn(PYTHON, args, { env: { PATH: process.env.PATH, USERS_FILE: server.usersFile }, stdio: ["ignore", "pipe", "inherit"] });
  server.adopt(() => child.kill("SIGKILL"));
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  await within(20_000, "the end of the program at the terminal", once(child, "close"));
  const { seen, ...rest } = JSON.parse(output);
  return { seen: seen.replaceAll("\r\n", "\n"), ...rest };
}

/** Whether this is alice's password, as the running server knows it. */
async function opens(server, password) {
  const headers = { Authorization: `Basic ${Buffer.from(`alice:${password}`).toString("base64")}` };
  const { status } = await fetch(`${server.url}/api/users/me`, { headers });
  return status === 200;
}

serverTest("a password that is typed twice is set, and not shown", {}, async (server) => {
  const password = "correct  horse \\n é";
  const { seen, status, shows_input } = await terminal(server, [[FIRST, `${password}\n`], [SECOND, `${password}\n`]]);
  assert.deepEqual([status, shows_input], [0, true], seen);
  assert.ok(seen.startsWith(`${FIRST}\n${SECOND}\n`) && !seen.includes("horse"), seen);
  await within(5000, "the server to know the password", (async () => {
    while (!(await opens(server, password)));
  })());
});

serverTest("whoever types two, none, or leaves changes nothing, and the terminal is as it was", {}, async (server) => {
  const before = server.users();
  for (const [answers, says] of [
    [[[FIRST, "one\n"], [SECOND, "another\n"]], /the two passwords differ; nothing was changed/],
    [[[FIRST, "\n"], [SECOND, "\n"]], /the password is empty/],
    [[[FIRST, "\x04"]], /no password was given; nothing was changed/],
    // Ctrl-C.
    [[[FIRST, "one\n"], [SECOND, "on\x03"]], /once more/],
  ]) {
    const { seen, status, shows_input } = await terminal(server, answers);
    assert.match(seen, says);
    assert.notEqual(status, 0, seen);
    assert.ok(shows_input, `the terminal stays mute after ${seen}`);
  }
  assert.deepEqual(server.users(), before);
});
