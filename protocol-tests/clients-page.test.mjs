// What docs/clients.md shows happens, as it stands there: each sample, on a server of its own.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./support/chromium.mjs";
import { Player } from "./support/player.mjs";
import { PYTHON, runPython } from "./support/python.mjs";
import { Server, binaryWithWebhooks, serverTest } from "./support/server.mjs";
import { Inbox, within } from "./support/wait.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const DIST = path.join(here, "node_modules/socket.io-client/dist");
const PAGE = fs.readFileSync(new URL("../docs/clients.md", import.meta.url), "utf8");
/** The place of a server, as the page has it where no environment can say it. */
const PLACE = "http://localhost:8080";

/** The blocks of a section: `[{language, text}]`. */
function blocks(section) {
  const [, body] = PAGE.split(`\n## ${section}\n`);
  assert.ok(body, `docs/clients.md lacks the section ${section}`);
  return [...body.split(/\n## /)[0].matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({ language, text }));
}

/** What the first five print. */
const [, EXPECTED] = /^```text\n(.*?)^```$/ms.exec(PAGE);

/** What differs from run to run: times, and ids. */
const normal = (text) => text.trim().replace(/\b\d{13}\b/g, "TIME").replace(/"(sid|socket_id)":"[\w-]{20}"/g, '"$1":"ID"');
const lines = (text) => text.trim().split("\n").map((line) => line.trim());

/** Runs a program until it has printed as much as it should, and ends it. */
async function run(server, [program, ...args], expected, { cwd = server.folder, env = {}, milliseconds = 15_000, isOrdered = true, meanwhile = async () => {} } = {}) {
  const child = spawn(program, args, {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, URL: server.url, KEY: server.key("alice"), ...env },
    // In a group of its own: what a shell has started ends with it.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  let [printed, complaints] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text) => (complaints += text));
  const done = new Promise((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      printed += text;
      if (printed.endsWith("\n") && lines(printed).length >= lines(expected).length) resolve();
    });
  });
  try {
    await within(milliseconds, () => `${expected}; it printed:\n${printed}${complaints}`, Promise.race([done, closed]));
    await meanwhile();
  } finally {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
    await closed;
  }
  assert.equal(complaints, "");
  const [found, wanted] = [lines(normal(printed)), lines(normal(expected))];
  assert.deepEqual(isOrdered ? found : found.toSorted(), isOrdered ? wanted : wanted.toSorted());
}

/** While alice's client is there, bob sees what it has said. */
async function isSeen(server) {
  const bob = await Player.join(server, "bob");
  const [{ user_id, state, game_id }, ...others] = bob.snapshot;
  assert.deepEqual([user_id, state, game_id, others], [server.id("alice"), "PLAYING", 42, []]);
}

const only = (section, language) => {
  const found = blocks(section);
  assert.deepEqual(found.map((block) => block.language), [language]);
  return found[0].text;
};

test("the page has these sections, and each has its test", () => {
  const sections = [...PAGE.matchAll(/^## (.*)$/gm)].map(([, section]) => section);
  const tested = ["JavaScript, in Node", "JavaScript, in a browser", "Python", "C#", "Rust", "curl, and any shell", "Home Assistant", "Discord"];
  assert.deepEqual(sections, tested);
});

serverTest("JavaScript, in Node", {}, async (server) => {
  const sample = only("JavaScript, in Node", "js");
  await run(server, [process.execPath, "--input-type=module", "--eval", sample], EXPECTED, { cwd: here, meanwhile: () => isSeen(server) });
});

serverTest("Python", {}, async (server) => {
  const sample = only("Python", "python");
  // The client calls each handler on a thread of its own: what they print is whole lines, in some order.
  const program = `import sys\nsys.stdout.reconfigure(line_buffering=True)\n${sample}`;
  await run(server, [PYTHON, "-c", program], EXPECTED, { isOrdered: false, meanwhile: () => isSeen(server) });
});

serverTest("Rust", { timeout: 60_000 }, async (server) => {
  const program = process.env.ROLLCALL_RUST_CLIENT;
  assert.ok(program, "set ROLLCALL_RUST_CLIENT to what `cargo build --manifest-path protocol-tests/clients/Cargo.toml` makes, as protocol-tests/run does");
  assert.equal(fs.readFileSync(path.join(here, "clients/main.rs"), "utf8"), only("Rust", "rust"), "protocol-tests/clients/main.rs is what the page shows");
  await run(server, [path.resolve(program)], EXPECTED, { meanwhile: () => isSeen(server) });
});

const dotnet = spawnSync("dotnet", ["--version"], { encoding: "utf8" });
const noDotnet = dotnet.status === 0 ? false : "there is no dotnet on this machine";

test("C#", { skip: noDotnet, timeout: 300_000 }, async (t) => {
  const server = await Server.start();
  t.after(() => server.remove());
  const project = fs.mkdtempSync(path.join(server.folder, "client-"));
  const framework = `net${dotnet.stdout.split(".")[0]}.0`;
  const settings = `<OutputType>Exe</OutputType><TargetFramework>${framework}</TargetFramework><Nullable>enable</Nullable><ImplicitUsings>enable</ImplicitUsings>`;
  const needs = '<ItemGroup><PackageReference Include="SocketIOClient" Version="4.0.0.2" /></ItemGroup>';
  fs.writeFileSync(path.join(project, "client.csproj"), `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>${settings}</PropertyGroup>${needs}</Project>`);
  fs.writeFileSync(path.join(project, "Program.cs"), only("C#", "cs"));
  const built = spawnSync("dotnet", ["build", "--nologo", "--output", "out"], { cwd: project, encoding: "utf8" });
  assert.equal(built.status, 0, built.stdout + built.stderr);
  await run(server, ["dotnet", path.join(project, "out/client.dll")], EXPECTED, { meanwhile: () => isSeen(server) });
  await server.finish();
});

// ---------------------------------------------------------------------------------------------------------------------
// In a browser

const browser = await launch();
after(() => browser.close());

/** Opens the sample as a page of another origin, and shows it the key. */
async function browse(server, html) {
  const site = http.createServer((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end(html.replaceAll(PLACE, server.url)));
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  server.adopt(() => site.close());
  const context = await browser.newContext();
  server.adopt(() => context.close());
  const page = await context.newPage();
  page.on("dialog", (dialog) => dialog.accept(server.key("alice")));
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  await page.waitForFunction((count) => document.querySelector("#log").textContent.split("\n").length > count, lines(EXPECTED).length, { timeout: 15_000 });
  assert.deepEqual(lines(await page.locator("#log").textContent()), lines(EXPECTED));
  await isSeen(server);
  return page;
}

const BUNDLE = { CLIENT_BUNDLE_DIR: DIST };

serverTest("JavaScript, in a browser: the key in a header", { timeout: 60_000, env: BUNDLE }, async (server) => {
  const [{ text: html }] = blocks("JavaScript, in a browser");
  await browse(server, html);
});

serverTest("JavaScript, in a browser: the key in the auth payload", { timeout: 60_000, env: { ...BUNDLE, AUTH_CONNECT_PAYLOAD_ENABLED: "true" } }, async (server) => {
  const [{ text: html }, { text: line }, ...others] = blocks("JavaScript, in a browser");
  assert.deepEqual(others, []);
  const other = html.replace(/^  const socket = .*\n/m, line);
  assert.notEqual(other, html);
  const page = await browse(server, other);
  assert.equal(await page.evaluate("socket.io.engine.transport.name"), "websocket");
});

// ---------------------------------------------------------------------------------------------------------------------
// Without a client

for (const [place, about] of ["a session of long-polling by hand", "REST"].entries()) {
  serverTest(`curl, and any shell: ${about}`, {}, async (server) => {
    const found = blocks("curl, and any shell");
    assert.deepEqual(found.map(({ language }) => language), ["sh", "text", "sh", "text"]);
    await run(server, ["sh", "-c", found[2 * place].text], found[2 * place + 1].text);
  });
}

/** Does what Home Assistant does with a `rest` integration: asks, and lets each sensor's templates say what that means. */
const HOME_ASSISTANT = `
import json, sys, jinja2, requests, yaml
config, secrets = json.load(sys.stdin)
class Loader(yaml.SafeLoader): pass
Loader.add_constructor("!secret", lambda loader, node: secrets[node.value])
environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
sensors = {}
for resource in yaml.load(config, Loader)["rest"]:
    assert set(resource) <= {"resource", "headers", "scan_interval", "sensor"}, resource
    answer = requests.get(resource["resource"], headers=resource["headers"], timeout=5)
    answer.raise_for_status()
    for sensor in resource["sensor"]:
        value = environment.from_string(sensor["value_template"]).render(value_json=answer.json())
        attributes = {name: answer.json()[name] for name in sensor.get("json_attributes", []) if name in answer.json()}
        sensors[sensor["name"]] = [value, attributes]
print(json.dumps(sensors))
`;

serverTest("Home Assistant", {}, async (server) => {
  const config = only("Home Assistant", "yaml").replaceAll(PLACE, server.url);
  const look = async () => {
    const input = JSON.stringify([config, { rollcall_key: server.key("bob") }]);
    const { code, output } = await runPython(server, ["-c", HOME_ASSISTANT], { input });
    assert.equal(code, 0, output);
    return JSON.parse(output);
  };
  assert.deepEqual(await look(), { "Playing now": ["0", {}], Alice: ["offline", {}] });
  const alice = await Player.join(server, "alice");
  const { activity } = await alice.askWhole("set-activity", { state: "PLAYING", game_id: 42, details: "The last level" });
  const carol = await Player.join(server, "carol");
  await carol.ask("set-activity", { state: "PLAYING" });
  const { since } = activity;
  assert.deepEqual(await look(), { "Playing now": ["2", {}], Alice: ["playing", { game_id: 42, details: "The last level", since }] });
});

test("Discord", { timeout: 60_000 }, async (t) => {
  // Discord, which has no time for the first message.
  const [posts, answers] = [new Inbox(), [[429, { "Retry-After": "1" }]]];
  const discord = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const [status, headers] = answers.shift() ?? [204, {}];
    response.writeHead(status, headers).end();
    posts.put({ method: request.method, path: request.url, type: request.headers["content-type"], body: JSON.parse(Buffer.concat(chunks)), status });
  });
  await new Promise((resolve) => discord.listen(0, "127.0.0.1", resolve));
  t.after(() => discord.close());

  const WEBHOOK_SECRET = `whsec_${randomBytes(32).toString("base64")}`;
  const users = ["alice", "b_o*b", "carol"];
  const server = await Server.start({ program: binaryWithWebhooks, users, env: { WEBHOOK_SECRET } });
  t.after(() => server.remove());
  const env = { PATH: process.env.PATH, URL: server.url, KEY: server.key("alice"), WEBHOOK_SECRET, DISCORD_URL: `http://127.0.0.1:${discord.address().port}/api/webhooks/1/token`, PORT: "0" };
  const relay = spawn(process.execPath, ["--input-type=module", "--eval", only("Discord", "js")], { env, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => relay.kill());
  const [line] = await within(10_000, "the relay", once(relay.stdout.setEncoding("utf8"), "data"));
  const [, port] = /^listening on port (\d+)\n$/.exec(line);
  // Each wants to know where the other is.
  await server.stop();
  server.set("WEBHOOK_URL", `http://127.0.0.1:${port}/`);
  await server.startAgain();

  const bob = await Player.join(server, "b_o*b");
  const say = (report) => bob.ask("set-activity", report);
  const hear = async () => {
    const { method, path, type, body, status } = await posts.take("a message for Discord", () => true, 15_000);
    assert.deepEqual([method, path, type], ["POST", "/api/webhooks/1/token", "application/json"]);
    assert.deepEqual([body.username, body.allowed_mentions, Object.keys(body).length], ["Rollcall", { parse: [] }, 3]);
    return [status, body.content];
  };
  await say({ state: "PLAYING", game_id: 42 });
  const said = "**b\\_o\\*b** plays game 42.";
  assert.deepEqual(await hear(), [429, said]);
  assert.deepEqual(await hear(), [204, said], "it is sent again");
  // What is not said to anyone comes before what is.
  await say({ state: "BUSY" });
  await say({ state: "PLAYING" });
  assert.deepEqual(await hear(), [204, "**b\\_o\\*b** plays something."]);
  // A stranger's words are not passed on.
  const forged = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: JSON.stringify({ user_id: 1, state: "PLAYING" }) });
  assert.equal(forged.status, 401);
  assert.deepEqual(posts.takeAll(), []);
  await server.finish();
});
