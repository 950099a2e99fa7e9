// `rollcall …` as a person or a script runs it, beside whatever server.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { binary } from "./server.mjs";
import { Inbox, within } from "./wait.mjs";

/** Starts it; what it prints is taken line by line, or as a whole when it has ended. */
export class Rollcall {
  lines = new Inbox();
  out = "";
  err = "";

  constructor(args, env = {}, { program = binary, cwd } = {}) {
    this.child = spawn(program(), args, { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    this.closed = once(this.child, "close");
    let rest = "";
    this.child.stdout.setEncoding("utf8").on("data", (text) => {
      this.out += text;
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      lines.forEach((line) => this.lines.put(line));
    });
    this.child.stderr.setEncoding("utf8").on("data", (text) => (this.err += text));
  }

  /** Waits until standard error says something. */
  async complains(pattern, milliseconds = 10_000) {
    const said = async () => {
      while (!pattern.test(this.err)) await once(this.child.stderr, "data");
    };
    await within(milliseconds, () => `${pattern} in ${this.err}`, said());
  }

  /** Waits for its end; the status. */
  async ended(milliseconds = 30_000) {
    const [status] = await within(milliseconds, () => `its end; it said ${this.out}${this.err}`, this.closed).finally(() => this.stop());
    return status;
  }

  stop() {
    this.child.kill("SIGKILL");
  }
}

/** Runs it to its end. */
export async function rollcall(args, env, options) {
  const command = new Rollcall(args, env, options);
  const status = await command.ended();
  return { status, out: command.out, err: command.err };
}
