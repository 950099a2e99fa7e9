// The real binary in a fresh folder with users of its own, on a port the kernel chose.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { within } from "./wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

export const ROLE = { guest: 0, user: 1, editor: 2, admin: 3 };
export const STOP_DEADLINE_MS = 5000;
/** Options of a server on which a lost connection is a leave. */
export const NO_GRACE = { env: { ACTIVITY_GRACE_SECONDS: "0" } };

/** The program under test. */
export function binary() {
  const candidates = process.env.ROLLCALL_BIN
    ? [path.resolve(process.env.ROLLCALL_BIN)]
    : ["release", "debug"].map((profile) => path.join(root, "target", profile, "rollcall"));
  const found = candidates.find((candidate) => fs.existsSync(candidate));
  assert.ok(found, `there is no ${candidates.join(" and no ")}: run \`cargo build --release\` or set ROLLCALL_BIN`);
  return found;
}

/** The user who owns nothing. */
const NOBODY = 65534;

/** The same with features that the default build has not. */
function binaryWith(feature, variable) {
  const file = process.env[variable];
  assert.ok(file, `set ${variable} to what \`cargo build --features ${feature}\` makes, as protocol-tests/run does`);
  return path.resolve(file);
}

export const binaryWithWebhooks = () => binaryWith("webhooks", "ROLLCALL_WEBHOOKS_BIN");
export const binaryWithTls = () => binaryWith("tls", "ROLLCALL_TLS_BIN");

// A test file that ends early takes its servers with it, and nobody else's.
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

export class Server {
  #binary;
  #child;
  #credentials = {};
  #closed;
  #env;
  #keys = new Map();
  #ids = new Map();
  #clients = [];
  /** What it logged, over all starts. */
  stderr = "";
  /** What it printed since the last start. */
  stdout = "";

  /** Users are names, or `{name, role, activated, deleted_at}`; they get the ids 1, 2, 3 and so on. `within` is a command that runs another. */
  constructor({ users = ["alice", "bob", "carol"], env = {}, program = binary, within = [] } = {}) {
    this.#binary = program();
    /** What it is run by. */
    this.within = within;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "rollcall-"));
    this.usersFile = path.join(this.folder, "users.json");
    const rows = users.map((user, index) => {
      const { name, role = ROLE.user, activated = true, deleted_at = null } = typeof user === "string" ? { name: user } : user;
      const row = { id: index + 1, username: name, api_key: randomBytes(32).toString("hex"), role, activated, deleted_at, password: null };
      this.#keys.set(name, row.api_key);
      this.#ids.set(name, row.id);
      return row;
    });
    fs.writeFileSync(this.usersFile, JSON.stringify({ users: rows }), { mode: 0o600 });
    // Nothing of the developer's own settings reaches the program.
    this.#env = {
      PATH: process.env.PATH,
      RUST_BACKTRACE: "1",
      SERVER_HOST: "127.0.0.1",
      SERVER_PORT: "0",
      USERS_FILE: this.usersFile,
      ...env,
    };
  }

  static async start(options) {
    const server = new Server(options);
    try {
      await server.start();
    } catch (error) {
      await server.remove();
      throw error;
    }
    return server;
  }

  key(name) {
    const key = this.#keys.get(name);
    assert.ok(key, `no user ${name}`);
    return key;
  }

  id(name) {
    return this.#ids.get(name);
  }

  /** The users as they are in the file now. */
  users() {
    return JSON.parse(fs.readFileSync(this.usersFile, "utf8")).users;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid() {
    return this.#child.pid;
  }

  /** The files and connections that it has open. */
  descriptors() {
    return fs.readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** The time of a processor that it has taken, in ms. */
  processorTime() {
    // Behind the name, which may have anything in it, the fields 14 and 15, in hundredths of a second.
    const fields = fs.readFileSync(`/proc/${this.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return 10 * (Number(fields[11]) + Number(fields[12]));
  }

  /** Its memory, in KiB. */
  memory() {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${this.pid}/status`, "utf8"))[1]);
  }

  /** Calls `meanwhile` while the program does nothing: what comes then, it finds all at once. */
  async asleep(meanwhile) {
    this.#child.kill("SIGSTOP");
    try {
      return await meanwhile();
    } finally {
      this.#child.kill("SIGCONT");
    }
  }

  async start() {
    assert.equal(this.#child, undefined, "it runs already");
    const [command, ...args] = [...this.within, this.#binary];
    const child = spawn(command, args, { ...this.#credentials, cwd: this.folder, env: this.#env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#closed = once(child, "close");
    running.add(child);
    child.once("close", () => running.delete(child));
    this.stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (this.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (this.stderr += text));
    const lines = createInterface({ input: child.stdout });
    const [line] = await within(10_000, "the line that says the address", Promise.race([
      once(lines, "line"),
      this.#closed.then(([code]) => [`(it ended with ${code})`]),
    ])).catch((error) => [error.message]);
    const match = /^Rollcall listening on http:\/\/(?:127\.0\.0\.1|\[::\]):(\d+)$/.exec(line);
    if (!match) {
      child.kill("SIGKILL");
      await this.#closed;
      this.#child = undefined;
      throw new Error(`the first line on stdout was: ${line}${this.report()}`);
    }
    this.port = Number(match[1]);
  }

  /** SIGTERM. It must end by itself, with code 0, within the deadline. */
  async stop() {
    const child = this.#child;
    assert.ok(child, "it does not run");
    child.kill("SIGTERM");
    let ended;
    try {
      ended = await within(STOP_DEADLINE_MS, "its end after SIGTERM", this.#closed);
    } catch (error) {
      child.kill("SIGKILL");
      await this.#closed;
      throw error;
    } finally {
      this.#child = undefined;
    }
    assert.deepEqual(ended, [0, null], "exit code and signal after SIGTERM");
  }

  /** Any other signal; the caller knows what it should do. */
  signal(name) {
    this.#child.kill(name);
  }

  /** SIGKILL: it has no time to write anything down. */
  async kill() {
    assert.ok(this.#child, "it does not run");
    this.#child.kill("SIGKILL");
    await this.#closed;
    this.#child = undefined;
  }

  /** From the next start on it runs as nobody, if it would as root. */
  async dropRoot() {
    if (process.getuid() !== 0) return;
    this.#binary = path.join(this.folder, "rollcall");
    // Where it was built, nobody may have no business.
    await fs.promises.copyFile(binary(), this.#binary);
    for (const name of [".", ...fs.readdirSync(this.folder)]) fs.chownSync(path.join(this.folder, name), NOBODY, NOBODY);
    this.#credentials = { uid: NOBODY, gid: NOBODY };
  }

  /** A setting, from the next start on. */
  set(name, value) {
    this.#env[name] = value;
  }

  /** The same server again, on the port it had. */
  async startAgain() {
    this.#env.SERVER_PORT = String(this.port);
    await this.start();
  }

  /** `rollcall ARGS…` beside the running server, on the same users; the caller speaks to it. */
  spawn(args, around = []) {
    const [command, ...rest] = [...around, this.#binary, ...args];
    const child = spawn(command, rest, { ...this.#credentials, cwd: this.folder, env: this.#env, stdio: ["pipe", "pipe", "pipe"] });
    running.add(child);
    child.once("close", () => running.delete(child));
    return child;
  }

  /** `rollcall ARGS…`, to its end: `{code, signal, said}`. `within` is a command that runs another. */
  async run(args, { within: around = [] } = {}) {
    const child = this.spawn(args, around);
    child.stdin.end();
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
    const [code, signal] = await within(10_000, `rollcall ${args.join(" ")}`, once(child, "close")).finally(() => child.kill("SIGKILL"));
    return { code, signal, said };
  }

  /** `rollcall ARGS…`, which must end well; what it said. */
  async command(...args) {
    const { code, said } = await this.run(args);
    assert.equal(code, 0, `rollcall ${args.join(" ")} ended with ${code}: ${said}`);
    return said;
  }

  /** Waits until the log says something, behind the first `from` characters. */
  logged(pattern, from = 0) {
    return within(5000, `${pattern} in the log`, this.#said(this.#child.stderr, () => pattern.test(this.stderr.slice(from))));
  }

  /** Waits until it has printed something. */
  printed(pattern) {
    return within(5000, `${pattern} to be printed`, this.#said(this.#child.stdout, () => pattern.test(this.stdout)));
  }

  async #said(stream, done) {
    while (!done()) await once(stream, "data");
  }

  /** A client of this server; `close` is called when the test is over. */
  adopt(close) {
    this.#clients.push(close);
  }

  report() {
    return `\n--- stderr of the server ---\n${this.stderr.slice(-4000) || "(empty)"}\n---`;
  }

  /** The end of every test: it still runs unless the test stopped it, it ends well, and nothing panicked. */
  async finish() {
    if (this.#child) {
      assert.equal(this.#child.exitCode ?? this.#child.signalCode, null, "the server ended before the test did");
      await this.stop();
    }
    assert.doesNotMatch(this.stderr, /panicked at/);
  }

  async remove() {
    this.#child?.kill("SIGKILL");
    fs.rmSync(this.folder, { recursive: true, force: true });
    await Promise.all(this.#clients.map((close) => close()));
  }
}

/** A test with a server of its own. `options` go to the server; what the server logged is added to a failure. */
export function serverTest(name, { timeout = 30_000, ...options }, body) {
  test(name, { timeout }, async (t) => {
    const server = await Server.start(options);
    try {
      await body(server, t);
      await server.finish();
    } catch (error) {
      if (error instanceof Error) error.stack += server.report();
      throw error;
    } finally {
      await server.remove();
    }
  });
}
