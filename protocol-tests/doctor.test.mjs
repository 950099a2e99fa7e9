// `rollcall doctor` before deployments that are wrong, each in its own way, and before some that are not.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { rollcall } from "./support/command.mjs";
import { nodeGateway } from "./support/gateway.mjs";
import { HTML, listen, proxy } from "./support/bad-proxy.mjs";
import { Server, binaryWithWebhooks } from "./support/server.mjs";

const folder = (name) => fileURLToPath(new URL(`./support/tls/${name}`, import.meta.url));
const certificate = () => ({ key: fs.readFileSync(folder("localhost.key")), cert: fs.readFileSync(folder("localhost.pem")) });
const page = fs.readFileSync(new URL("../docs/command-line.md", import.meta.url), "utf8");

const USERS = ["alice", "bob", { name: "dave", activated: false }];
const ORIGIN = "https://games.example";

/** Each is found by name in one of the tests. */
const met = new Set();

/** What it finds at `url`, and with which status it ends. */
async function examine(url, { key, args = [], ...options } = {}, env = {}) {
  const { status, out, err } = await rollcall(["doctor", url, "--json", ...args], { ...env, ...(key && { ROLLCALL_KEY: key }) }, options);
  assert.equal(err, "");
  const findings = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(status, findings.some(({ verdict }) => verdict === "fail") ? 1 : 0, out);
  for (const { verdict, fault, advice } of findings) {
    assert.equal(verdict === "ok", fault === null);
    assert.equal(fault === null, advice === null);
    if (fault) met.add(fault);
  }
  const named = findings.map(({ check, verdict, fault }) => `${verdict} ${fault ?? check}`);
  return { findings, named, text: out };
}

/** That this is found, and nothing else is wrong. */
async function finds(expected, url, options, env) {
  const { named, text } = await examine(url, options, env);
  assert.deepEqual(named.filter((name) => !name.startsWith("ok")), [expected].flat(), text);
  return text;
}

describe("doctor", { concurrency: 3 }, () => {
  let server;
  let key;
  before(async () => {
    server = await Server.start({ users: USERS });
    key = server.key("alice");
  });
  after(async () => {
    await server.finish();
    await server.remove();
  });

  /** A test with a proxy in front of the server. */
  const behind = (name, faults, body) =>
    test(name, async (t) => {
      await body(await proxy(t, server.port, faults), t);
    });
  /** The same where one thing is found. */
  const ill = (expected, faults, options = {}) =>
    behind(`${expected}`, faults, async (url) => {
      await finds(expected, url, { key, ...options });
    });

  // What is well.

  const ALL = ["address", "clock", "path", "key", "polling", "sticky", "buffering", "stream", "websocket", "cors"];
  const well = ALL.map((check) => `ok ${check}`);

  test("all is well without a proxy", async () => {
    assert.deepEqual((await examine(server.url, { key, args: ["--origin", ORIGIN] })).named, well);
  });

  behind("all is well behind a proxy that does nothing wrong", {}, async (url) => {
    assert.deepEqual((await examine(url, { key, args: ["--origin", ORIGIN] })).named, well);
  });

  test("all is well at the official server, which has no streams", async (t) => {
    const gateway = await nodeGateway(t, server.usersFile);
    const { named, text } = await examine(gateway.url, { key });
    assert.deepEqual(named, well.filter((name) => !/stream|cors/.test(name)), text);
  });

  test("key-unknown: the official server lets anyone open a session, and not join", async (t) => {
    const gateway = await nodeGateway(t, server.usersFile);
    await finds("fail key-unknown", gateway.url, { key: "f".repeat(64) });
    await finds("warn open-to-strangers", gateway.url);
  });

  test("what it says to a person", async () => {
    const { status, out } = await rollcall(["doctor", server.url], {});
    assert.equal(status, 0);
    assert.match(out, /^ok {4}address {4}127\.0\.0\.1, port \d+ is 127\.0\.0\.1:\d+, and takes connections\.$/m);
    assert.match(out, /^warn {2}key {8}no-key: No key was given.*\n {17}Set `ROLLCALL_KEY`/m);
    assert.match(out, /^ok {4}websocket {2}The request for a WebSocket reaches the server as one\.$/m);
  });

  // Nobody there, or somebody else.

  test("name-unknown", () => finds("fail name-unknown", "http://nowhere.invalid"));

  test("unreachable", async (t) => {
    const closed = net.createServer();
    const port = await listen(t, closed);
    closed.close();
    await finds("fail unreachable", `http://127.0.0.1:${port}`);
  });

  test("no-answer", async (t) => {
    const silent = net.createServer((socket) => socket.on("error", () => {}).resume());
    await finds("fail no-answer", `http://127.0.0.1:${await listen(t, silent)}`);
  });

  for (const [says, words] of [["a greeting", "220 ready\r\n"], ["nothing at all", ""]]) {
    test(`not-http: it says ${says}`, async (t) => {
      const other = net.createServer((socket) => socket.on("error", () => {}).end(words));
      await finds("fail not-http", `http://127.0.0.1:${await listen(t, other)}`);
    });
  }

  test("tls-on-http", async (t) => {
    const encrypted = tls.createServer(certificate()).on("tlsClientError", () => {});
    await finds("fail tls-on-http", `http://localhost:${await listen(t, encrypted)}`);
    const polite = http.createServer((_, response) => response.writeHead(400).end("The plain HTTP request was sent to HTTPS port"));
    await finds("fail tls-on-http", `http://localhost:${await listen(t, polite)}`);
  });

  test("http-on-https, in every build", async () => {
    const url = `https://localhost:${server.port}`;
    await finds("fail http-on-https", url);
    await finds("fail http-on-https", url, { program: binaryWithWebhooks });
  });

  test("no-tls, certificate, and a certificate that is good", async (t) => {
    const encrypted = tls.createServer(certificate(), (socket) => {
      const forward = net.connect(server.port, "127.0.0.1");
      for (const end of [socket, forward]) end.on("error", () => [socket, forward].forEach((other) => other.destroy()));
      socket.pipe(forward).pipe(socket);
    });
    encrypted.on("tlsClientError", () => {});
    const url = `https://localhost:${await listen(t, encrypted)}`;
    await finds("fail no-tls", url, { key });
    const stranger = { SSL_CERT_FILE: folder("stranger.pem") };
    await finds("fail certificate", url, { key, program: binaryWithWebhooks }, stranger);
    const trusted = { SSL_CERT_FILE: folder("localhost.pem") };
    const { named, text } = await examine(url, { key, program: binaryWithWebhooks }, trusted);
    assert.deepEqual(named, ["ok address", "ok tls", ...well.slice(1, -1)], text);
  });

  const instead = (status, headers = {}, body = HTML) => ({
    answer: (_, response) => response.writeHead(status, { "Content-Type": "text/html", ...headers }).end(body),
  });
  ill("fail not-rollcall", instead(200));
  ill("fail redirected", instead(301, { Location: "https://games.example/" }));
  ill("fail proxy-error", instead(502));
  ill("fail proxy-password", instead(401, { "WWW-Authenticate": "Basic realm=\"games\"" }));

  // The path.

  ill("fail query-dropped", { rewrite: (url) => url.split("?")[0] });
  ill("fail path-stripped", { rewrite: (url) => url.replace(/^\/socket\.io/, "") });
  behind("path-elsewhere", { rewrite: (url) => url.replace(/^\/activities\/(?!socket)/, "/") }, async (url) => {
    await finds("warn path-elsewhere", `${url}/activities/`, { key });
  });
  behind("a path under which all of it has been put", { rewrite: (url) => url.replace(/^\/activities/, "") }, async (url) => {
    const { named, text } = await examine(`${url}/activities/`, { key });
    assert.deepEqual(named, well.slice(0, -1), text);
  });
  ill("fail path-missing", {
    answer: (request, response) => !request.url.startsWith("/api/") && response.writeHead(404).end(HTML),
  });
  test("path-missing: no activities are wanted", async (t) => {
    const quiet = await Server.start({ env: { SERVER_ONLINE_ACTIVITIES_DISABLED: "true" } });
    t.after(() => quiet.remove());
    await finds("fail path-missing", quiet.url);
  });

  // The key.

  behind("no-key", {}, (url) => finds("warn no-key", url));
  ill("fail key-unknown", {}, { key: "f".repeat(64) });
  ill("fail key-not-passed", { headers: (headers) => delete headers["x-api-key"] });
  test("not-activated", () => finds("fail not-activated", server.url, { key: server.key("dave") }));
  test("open-to-strangers", async (t) => {
    const open = await Server.start({ env: { AUTH_CONNECT_PAYLOAD_ENABLED: "true" } });
    t.after(() => open.remove());
    await finds("warn open-to-strangers", open.url);
  });
  test("too-many", async (t) => {
    const strict = await Server.start({ env: { AUTH_MAX_FAILURES_PER_MINUTE: "1", TRUSTED_PROXIES: "127.0.0.1" } });
    t.after(() => strict.remove());
    const url = await proxy(t, strict.port, { headers: (headers) => (headers["x-forwarded-for"] = "203.0.113.9") });
    const wrong = { key: "f".repeat(64) };
    await examine(url, wrong);
    await finds("fail too-many", url, wrong);
  });
  test("full", async (t) => {
    const small = await Server.start({ env: { ENGINE_MAX_SESSIONS: "1" } });
    t.after(() => small.remove());
    const first = await fetch(`${small.url}/socket.io/?EIO=4&transport=polling`, { headers: { "X-Api-Key": small.key("alice") } });
    assert.equal(first.status, 200);
    await finds("fail full", small.url, { key: small.key("bob") });
  });

  // What only a session shows.

  ill("fail polling-broken", { answer: (request, response) => request.method === "POST" && response.writeHead(405).end(HTML) });
  test("not-sticky", async (t) => {
    const other = new Server();
    t.after(() => other.remove());
    fs.copyFileSync(server.usersFile, other.usersFile);
    await other.start();
    let turn = 0;
    const url = await proxy(t, server.port, { target: () => [server.port, other.port][turn++ % 2] });
    const text = await finds("fail not-sticky", url, { key });
    assert.match(text, /Session ID unknown/);
  });
  const isGet = (request) => request.method === "GET" && request.url.includes("sid=");
  // Five are answered at once, and the sixth has to wait.
  const holdSixth = (milliseconds) => {
    let polls = 0;
    return { hold: (request) => (isGet(request) && ++polls > 5 ? milliseconds : undefined) };
  };
  ill("warn buffered", holdSixth(2500));
  ill("fail buffered", holdSixth(20_000));
  ill("warn buffered", { hold: (request) => (request.url.includes("stream") ? 0 : undefined) });

  // WebSockets.

  ill("fail upgrade-not-passed", { upgrade: "strip" });
  test("upgrade-not-passed, without a key", async (t) => {
    await finds(["warn no-key", "fail upgrade-not-passed"], await proxy(t, server.port, { upgrade: "strip" }));
  });
  for (const answer of ["426 Upgrade Required", "200 OK", "404 Not Found"]) {
    ill("fail upgrade-not-passed", { upgrade: (_, socket) => socket.end(`HTTP/1.1 ${answer}\r\nContent-Length: 0\r\n\r\n`) });
  }
  for (const answer of ["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", ""]) {
    ill("fail websocket-broken", { upgrade: (_, socket) => socket.end(answer) });
  }
  test("websocket-broken: it opens, and is silent", async (t) => {
    const { WebSocketServer } = await import("ws");
    const sockets = new WebSocketServer({ noServer: true });
    t.after(() => sockets.clients.forEach((socket) => socket.terminate()));
    const upgrade = (request, socket) => sockets.handleUpgrade(request, socket, Buffer.alloc(0), (open) => assert.ok(open instanceof WebSocket));
    await finds("fail websocket-broken", await proxy(t, server.port, { upgrade }), { key });
  });

  // Time.

  ill("warn clock", { edit: (headers) => (headers.date = new Date(Date.now() - 3_600_000).toUTCString()) });
  test("timeout-too-short", async (t) => {
    const quick = await Server.start({ env: { ENGINE_PING_INTERVAL_MS: "2500" } });
    t.after(() => quick.remove());
    const heartbeat = { key: quick.key("alice"), args: ["--heartbeat"] };
    assert.ok((await examine(quick.url, heartbeat)).named.includes("ok heartbeat"));
    const impatient = (answer) => ({ answer: (request, response) => void setTimeout(() => response.headersSent || answer(response), 1500).unref() });
    const late = await proxy(t, quick.port, impatient((response) => response.writeHead(504).end(HTML)));
    assert.match(await finds("fail timeout-too-short", late, heartbeat), /On long-polling: it is answered by 504/);
    const cut = await proxy(t, quick.port, {
      upgrade: (request, socket) => {
        const forward = net.connect(quick.port, "127.0.0.1");
        for (const end of [socket, forward]) end.on("error", () => {});
        const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
        forward.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
        forward.pipe(socket).pipe(forward);
        setTimeout(() => socket.destroy(), 1500).unref();
      },
    });
    assert.match(await finds("fail timeout-too-short", cut, heartbeat), /On a WebSocket: /);
  });

  // Web pages.

  const asPage = { args: ["--origin", ORIGIN] };
  test("origin-not-allowed", async (t) => {
    const strict = await Server.start({ env: { SERVER_CORS_ALLOWED_ORIGINS: "https://other.example,https://games.example:8443" } });
    t.after(() => strict.remove());
    await finds(["warn no-key", "fail origin-not-allowed"], strict.url, asPage);
    await finds("warn no-key", strict.url, { args: ["--origin", "https://other.example"] });
  });
  ill("fail preflight", { answer: (request, response) => request.method === "OPTIONS" && response.writeHead(405, { "Access-Control-Allow-Origin": "*" }).end() }, asPage);
  ill("fail cors-twice", { edit: (headers) => (headers["access-control-allow-origin"] = ["*", ORIGIN]) }, asPage);
});

test("every ill of the page was met", () => {
  const [, table] = /<!-- ills -->([\s\S]*?)<!-- \/ills -->/.exec(page);
  const named = [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual([...met].sort(), named.sort());
});

test("the examined may be named by the environment, and wrong words are", async (t) => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "rollcall-")), "key");
  t.after(() => fs.rmSync(path.dirname(file), { recursive: true }));
  fs.writeFileSync(file, "no key at all\n");
  const { status, err } = await rollcall(["doctor", "--key-file", file], { ROLLCALL_URL: "http://127.0.0.1:1" });
  assert.equal(status, 1);
  assert.match(err, /what was given is no API key/);
  assert.doesNotMatch(err, /at all/);
});
