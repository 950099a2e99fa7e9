// The contract on the official server: protocol-tests/load/node/gateway.mjs, with the packages that it needs.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { within } from "./wait.mjs";

const folder = fileURLToPath(new URL("../load/node", import.meta.url));

/** Starts it, for the users of this file. */
export async function nodeGateway(t, usersFile) {
  assert.ok(fs.existsSync(`${folder}/node_modules`), `run \`npm ci\` in ${folder}, as protocol-tests/run does`);
  const child = spawn(process.execPath, [`${folder}/gateway.mjs`, usersFile], { stdio: ["ignore", "pipe", "inherit"] });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "close");
    }
  };
  t.after(stop);
  const lines = createInterface({ input: child.stdout });
  const [line] = await within(10_000, "the gateway to listen", once(lines, "line"));
  return { url: line.replace("listening on ", ""), stop };
}
