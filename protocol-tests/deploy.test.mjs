// What docs/deploy/ has for containers and for systemd: it is well formed, and does what it says as far as that can be seen without either.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { binary } from "./support/server.mjs";
import { DEADLINE_MS, within } from "./support/wait.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const file = (name) => path.join(root, name);
const read = (name) => fs.readFileSync(file(name), "utf8");

/** A Python that has requirements.txt; `run` makes one. */
const PYTHON = process.env.ROLLCALL_PYTHON ?? "python3";
/** What stands beside it. */
const beside = (name) => (PYTHON.includes("/") ? path.join(path.dirname(PYTHON), name) : name);

/** The Dockerfile's instructions, stage by stage: `[instruction, rest]`. */
const stages = read("docs/deploy/Dockerfile")
  .replace(/^#.*\n/gm, "")
  .replace(/\\\n\s*/g, "")
  .trim()
  .split(/^(?=FROM )/m)
  .map((stage) => stage.trim().split(/\n+/).map((line) => /^(\S+)\s+(.*)$/.exec(line).slice(1)));
const image = stages.at(-1);
const of = (stage, name) => stage.filter(([instruction]) => instruction === name).map(([, rest]) => rest);

// ---------------------------------------------------------------------------------------------------------------------
// The image

test("hadolint has nothing against the Dockerfile", () => {
  const { stdout, status, error } = spawnSync(beside("hadolint"), [file("docs/deploy/Dockerfile")], { encoding: "utf8" });
  assert.ifError(error);
  assert.equal(status, 0, stdout);
});

test("the image is built by the command that is tested and told of", () => {
  const command = /RUSTFLAGS="-C target-feature=\+crt-static" cargo build --release --locked --bin rollcall --target "\$host"/;
  const [, build] = stages;
  const [run] = of(build, "RUN");
  assert.match(run, command);
  assert.match(run, /host=\$\(rustc -vV \| sed -n 's\/host: \/\/p'\)/);
  assert.match(read("protocol-tests/run"), command);
  assert.match(read("docs/deploy.md"), /RUSTFLAGS="-C target-feature=\+crt-static" cargo build --release (--locked )?--bin rollcall --target /);
  const [, version] = /^rust-version = "([\d.]+)"$/m.exec(read("Cargo.toml"));
  assert.deepEqual(of(stages[0], "ARG"), [`RUST=${version}`]);
});

test("what the build leaves out is not what it needs", () => {
  const ignored = read("docs/deploy/Dockerfile.dockerignore").split("\n").filter((line) => line && !line.startsWith("#"));
  const sources = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n");
  for (const pattern of ignored) {
    const name = pattern.replace("**/", "");
    assert.ok(!sources.some((source) => source.split("/").includes(name)), pattern);
  }
});

/** Makes the last stage's file system of the program, and says how to run in it. */
function container(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rollcall-image-"));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.chmodSync(folder, 0o755);
  for (const copy of of(image, "COPY")) {
    const [, owner, from, to] = /^--from=build (?:--chown=(\S+) )?\/image\/(\S+) \/(\S+)$/.exec(copy);
    assert.equal(from, to);
    const target = path.join(folder, to);
    if (to === "rollcall") fs.copyFileSync(process.env.ROLLCALL_STATIC_BIN, target);
    else fs.mkdirSync(target, { mode: 0o755 });
    if (owner) fs.chownSync(target, ...owner.split(":").map(Number));
  }
  // Every engine has these there; without its libraries glibc asks for random bytes in no other way.
  fs.mkdirSync(path.join(folder, "dev"));
  for (const [device, minor] of [["random", 8], ["urandom", 9]]) {
    execFileSync("mknod", ["--mode=444", path.join(folder, "dev", device), "c", "1", `${minor}`]);
  }
  const [user] = of(image, "USER");
  const env = Object.fromEntries(of(image, "ENV").map((line) => line.split("=")));
  const start = [...JSON.parse(of(image, "ENTRYPOINT")[0]), ...JSON.parse(of(image, "CMD")[0])];
  const run = (command, more = {}) => spawn("/usr/sbin/chroot", [`--userspec=${user}`, folder, ...command], { cwd: "/", env: { ...env, ...more }, stdio: ["ignore", "pipe", "pipe"] });
  return { folder, start, run };
}

const statically = process.env.ROLLCALL_STATIC_BIN && process.getuid() === 0;

test("in an empty file system, as its user, it makes its users, answers, is healthy, and ends", { skip: !statically && "needs a static build, and root" }, async (t) => {
  const { folder, start, run } = container(t);
  const child = run(start, { SERVER_PORT: "0", SERVER_HOST: "127.0.0.1" });
  t.after(() => child.kill("SIGKILL"));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  const lines = createInterface({ input: child.stdout });
  const [line] = await within(DEADLINE_MS, () => `its first line; it said ${stderr}`, once(lines, "line"));
  const [, url, port] = /^Rollcall listening on (http:\/\/127\.0\.0\.1:(\d+))$/.exec(line);
  assert.equal((await fetch(`${url}/api/status`)).status, 200);
  const users = path.join(folder, "data/users.json");
  assert.equal(fs.statSync(users).mode & 0o777, 0o600);
  assert.equal(fs.statSync(users).uid, 1000);

  const health = /--interval=\S+ --timeout=\S+ --start-period=\S+ CMD (.*)$/.exec(of(image, "HEALTHCHECK")[0])[1];
  const checked = async (env) => (await within(DEADLINE_MS, "the health check", once(run(JSON.parse(health), env), "close")))[0];
  assert.equal(await checked({ SERVER_PORT: port, SERVER_HOST: "127.0.0.1" }), 0);

  const [signal] = of(image, "STOPSIGNAL");
  child.kill(signal);
  assert.deepEqual(await within(DEADLINE_MS, "its end", once(child, "close")), [0, null], stderr);
  assert.equal(await checked({ SERVER_PORT: port, SERVER_HOST: "127.0.0.1" }), 1);
});

/** An engine that can build, if there is one. */
const engine = ["docker", "podman"].find((name) => spawnSync(name, ["info"], { stdio: "ignore" }).status === 0);

test("an engine builds it, and runs it with nothing to write to but its volume", { skip: !engine && "there is no engine here", timeout: 1_800_000 }, (t) => {
  const tag = `rollcall-test-${process.pid}`;
  execFileSync(engine, ["build", "--file", "docs/deploy/Dockerfile", "--tag", tag, "."], { cwd: root, stdio: "inherit" });
  t.after(() => execFileSync(engine, ["image", "rm", tag], { stdio: "ignore" }));
  const shown = execFileSync(engine, ["run", "--rm", "--read-only", "--cap-drop", "ALL", tag, "check"], { encoding: "utf8" });
  assert.match(shown, /^USERS_FILE=\/data\/users\.json$/m);
});

// ---------------------------------------------------------------------------------------------------------------------
// Compose

test("the compose file is one, and what it tells Rollcall are settings", (t) => {
  const { stdout, stderr, status } = spawnSync(PYTHON, [file("protocol-tests/compose.py"), file("docs/deploy/compose.yaml")], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const { services, volumes } = JSON.parse(stdout);
  const { rollcall, proxy } = services;
  const folder = path.resolve(file("docs/deploy"), rollcall.build.context);
  assert.equal(folder, path.resolve(root));
  assert.ok(fs.existsSync(path.join(folder, rollcall.build.dockerfile)));
  assert.equal(rollcall.read_only, true);
  assert.equal(rollcall.ports, undefined, "nobody gets past the proxy");
  assert.ok(Object.hasOwn(volumes, "rollcall"));

  const own = fs.mkdtempSync(path.join(os.tmpdir(), "rollcall-compose-"));
  t.after(() => fs.rmSync(own, { recursive: true, force: true }));
  const checked = spawnSync(binary(), ["check"], { cwd: own, env: rollcall.environment, encoding: "utf8" });
  assert.equal(checked.status, 0, checked.stderr);
  assert.equal(checked.stderr, "", "each is known");

  // The proxy finds both by the variables that its file has.
  const caddyfile = read("docs/deploy/Caddyfile");
  const names = [...caddyfile.matchAll(/\{\$([A-Z]+):/g)].map(([, name]) => name);
  assert.deepEqual(Object.keys(proxy.environment).sort(), names.sort());
  for (const name of ["rollcall", "gamevault"]) {
    assert.equal(proxy.environment[name.toUpperCase()], `${name}:8080`);
    assert.ok(services[name]);
  }
});

// ---------------------------------------------------------------------------------------------------------------------
// systemd

/** The unit, with this program in the place of an installed one. */
function unit(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rollcall-unit-"));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const name = path.join(folder, "rollcall.service");
  const installed = /^ExecStart=\/usr\/local\/bin\/rollcall serve$/m;
  const text = read("docs/deploy/rollcall.service");
  assert.match(text, installed);
  fs.writeFileSync(name, text.replace(installed, `ExecStart=${binary()} serve`));
  return name;
}

test("systemd has nothing against the unit", (t) => {
  const { stdout, stderr, status } = spawnSync("systemd-analyze", ["verify", "--man=no", unit(t)], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
  // What it ignores it only says.
  assert.doesNotMatch(stdout + stderr, /rollcall\.service/);
});

test("the unit is as closed as docs/deploy.md says", (t) => {
  const [, exposure] = /gives it\s+(\d+\.\d), OK/.exec(read("docs/deploy.md"));
  const options = ["security", "--offline=true", `--threshold=${exposure.replace(".", "")}`, "--no-pager", unit(t)];
  const { stdout, stderr, status } = spawnSync("systemd-analyze", options, { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
});
