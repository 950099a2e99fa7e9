// A page in a real browser, from another origin, with the official client: its key is in a header that no WebSocket of a browser can carry.

import assert from "node:assert/strict";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { bare, bareEvent } from "./support/activity.mjs";
import { launchBrowser } from "./support/browser.mjs";
import { Player } from "./support/player.mjs";
import { serverTest } from "./support/server.mjs";
import { Inbox, within } from "./support/wait.mjs";

const TIMEOUT = { timeout: 60_000 };
/** A browser takes its time, above all the first time. */
const PAGE_MS = 15_000;

const DIST = fileURLToPath(new URL("node_modules/socket.io-client/dist", import.meta.url));

/** The site that the pages are from: an empty page with the client's bundle, and one without, for who has it from elsewhere. */
async function serveSite() {
  const bundle = fs.readFileSync(path.join(DIST, "socket.io.js"));
  const empty = '<!doctype html><link rel="icon" href="data:,">';
  const files = { "/": ["text/html", `${empty}<script src="/socket.io.js"></script>`], "/bare": ["text/html", empty], "/socket.io.js": ["text/javascript", bundle] };
  const site = http.createServer(({ url }, response) => {
    const [type, body] = files[url] ?? ["text/plain", ""];
    response.writeHead(url in files ? 200 : 404, { "Content-Type": type }).end(body);
  });
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  return site;
}

const browser = await launchBrowser();
const site = await serveSite();
const ORIGIN = `http://127.0.0.1:${site.address().port}`;
after(async () => {
  await browser.close();
  site.close();
});

/** A player in a page of its own, with `Player`'s methods. */
class Page {
  #inbox = new Inbox();
  #page;
  /** What went to the server: `{kind, method, headers}`, a kind being "preflight", "request" or "WebSocket". */
  sent = [];
  /** The scripts that it has loaded. */
  loaded = [];

  /** Opens the page and lets its client connect. `load` brings the client into a page that comes without. */
  static async open(server, key, { load, ...options } = {}) {
    const self = new Page();
    const context = await browser.newContext();
    server.adopt(() => context.close());
    const page = (self.#page = await context.newPage());
    await self.#watch(await context.newCDPSession(page), server);
    await page.exposeFunction("put", (event, ...args) => self.#inbox.put({ event, args }));
    await page.goto(`${ORIGIN}/${load ? "bare" : ""}`);
    await load?.(page);
    const settings = { extraHeaders: { "X-Api-Key": key }, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options };
    await page.evaluate(([url, settings]) => {
      window.socket = io(url, settings);
      socket.onAny((event, ...args) => put(event, ...args));
      for (const event of ["connect", "disconnect"]) socket.on(event, (reason) => put(event, reason));
      socket.on("connect_error", ({ message }) => put("connect_error", message));
      socket.io.on("open", () => socket.io.engine.on("upgrade", ({ name }) => put("upgrade", name)));
    }, [server.url, settings]);
    return self;
  }

  static async join(server, name, options) {
    const page = await Page.open(server, server.key(name), options);
    page.snapshot = await page.joined();
    return page;
  }

  async #watch(devtools, server) {
    const note = (kind, url, { method, headers }) => {
      const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
      if (url.replace(/^ws/, "http").startsWith(server.url)) this.sent.push({ kind, method, headers: lower });
    };
    const urls = new Map();
    devtools.on("Network.requestWillBeSent", ({ request, type }) => {
      if (type === "Script") this.loaded.push(request.url);
      else note(request.method === "OPTIONS" ? "preflight" : "request", request.url, request);
    });
    devtools.on("Network.webSocketCreated", ({ requestId, url }) => urls.set(requestId, url));
    devtools.on("Network.webSocketWillSendHandshakeRequest", ({ requestId, request }) => note("WebSocket", urls.get(requestId), request));
    await devtools.send("Network.enable");
  }

  async joined() {
    await this.next("connect");
    return this.next("activities");
  }

  async next(event) {
    return bareEvent(event, (await this.#inbox.take(event, (item) => item.event === event, PAGE_MS)).args[0]);
  }

  all(event) {
    return this.#inbox.takeAll((item) => item.event === event).map(({ args }) => bareEvent(event, args[0]));
  }

  evaluate(script, argument) {
    return within(PAGE_MS, "an answer of the page", this.#page.evaluate(script, argument));
  }

  async ask(...args) {
    return bare(await this.evaluate((args) => socket.timeout(5000).emitWithAck(...args), args));
  }

  sid() {
    return this.evaluate(() => socket.id);
  }

  transport() {
    return this.evaluate(() => socket.io.engine.transport.name);
  }

  leave() {
    return this.evaluate(() => void socket.disconnect());
  }
}

/** Each sees what the other does, and that it goes. */
async function seeEachOther(server, page, name, other, otherName) {
  const seen = { user_id: server.id(name), socket_id: await page.sid(), state: "PLAYING", game_id: 42 };
  assert.deepEqual(await page.ask("set-activity", { state: "PLAYING", game_id: 42 }), { status: "ok", activity: seen });
  for (const one of [page, other]) assert.deepEqual(await one.next("activity"), seen);
  const { activity } = await other.ask("set-activity", { state: "BUSY" });
  assert.equal(activity.user_id, server.id(otherName));
  for (const one of [page, other]) assert.deepEqual(await one.next("activity"), activity);
  assert.deepEqual(await page.ask("get-activities"), [seen, activity]);
  await page.leave();
  assert.deepEqual(await other.next("activity"), { user_id: seen.user_id, socket_id: seen.socket_id, state: "OFFLINE" });
}

serverTest("default transports: polling with the key, then a WebSocket without it", TIMEOUT, async (server) => {
  const bob = await Player.join(server, "bob");
  const page = await Page.join(server, "alice");
  assert.equal(await page.next("upgrade"), "websocket");
  await seeEachOther(server, page, "alice", bob, "bob");
  const sent = (wanted) => page.sent.filter(({ kind }) => kind === wanted);
  assert.deepEqual(new Set(sent("preflight").map(({ headers }) => headers["x-api-key"])), new Set([undefined]));
  assert.deepEqual(new Set(sent("request").map(({ method, headers }) => `${method} ${headers["x-api-key"]}`)), new Set(["GET", "POST"].map((method) => `${method} ${server.key("alice")}`)));
  assert.deepEqual(sent("WebSocket").map(({ headers }) => [headers.origin, headers["x-api-key"]]), [[ORIGIN, undefined]]);
});

serverTest("polling only", TIMEOUT, async (server) => {
  const bob = await Player.join(server, "bob");
  const page = await Page.join(server, "alice", { transports: ["polling"] });
  await seeEachOther(server, page, "alice", bob, "bob");
  assert.deepEqual(new Set(page.sent.map(({ kind }) => kind)), new Set(["preflight", "request"]));
});

serverTest("two pages", TIMEOUT, async (server) => {
  const alice = await Page.join(server, "alice");
  const bob = await Page.join(server, "bob", { transports: ["polling"] });
  assert.equal(await alice.next("upgrade"), "websocket");
  await seeEachOther(server, alice, "alice", bob, "bob");
});

serverTest("a wrong key, and a WebSocket at once, which has none: connect_error", TIMEOUT, async (server) => {
  for (const [key, options] of [["wrong", {}], [server.key("alice"), { transports: ["websocket"] }]]) {
    const page = await Page.open(server, key, options);
    for (let attempt = 1; attempt <= 3; attempt += 1) assert.match(await page.next("connect_error"), /^(xhr poll|websocket) error$/);
    assert.deepEqual(page.all("connect"), []);
    await page.leave();
  }
  assert.doesNotMatch(server.stderr, /opened on/);
});

serverTest("a restart: the page comes back by itself", TIMEOUT, async (server) => {
  const pages = [await Page.join(server, "alice"), await Page.join(server, "bob", { transports: ["polling"] })];
  assert.equal(await pages[0].next("upgrade"), "websocket");
  await server.stop();
  for (const page of pages) assert.match(await page.next("disconnect"), /^transport (close|error)$/);
  await server.startAgain();
  for (const page of pages) await page.joined();
  const [{ activity }] = await Promise.all(pages.map((page) => page.ask("set-activity", { state: "ONLINE" })));
  assert.equal(activity.user_id, server.id("alice"));
  const told = await Promise.all(pages.map(async (page) => [await page.next("activity"), await page.next("activity")]));
  assert.deepEqual(told[0], told[1]);
});

serverTest("an origin that is not allowed is refused by the browser", { ...TIMEOUT, env: { SERVER_CORS_ALLOWED_ORIGINS: "https://games.example" } }, async (server) => {
  const page = await Page.open(server, server.key("alice"));
  for (let attempt = 1; attempt <= 3; attempt += 1) assert.equal(await page.next("connect_error"), "xhr poll error");
  assert.deepEqual(page.all("connect"), []);
  assert.doesNotMatch(server.stderr, /opened on/, "it did not get beyond the preflight");
});

serverTest("an origin that is allowed", { ...TIMEOUT, env: { SERVER_CORS_ALLOWED_ORIGINS: `https://games.example,${ORIGIN}` } }, async (server) => {
  const bob = await Player.join(server, "bob");
  const page = await Page.join(server, "alice");
  assert.equal(await page.next("upgrade"), "websocket");
  await seeEachOther(server, page, "alice", bob, "bob");
});

/** The ways in which pages load the client from the server that they speak to. */
const LOADS = {
  "socket.io.js": (url) => (page) => page.addScriptTag({ url: `${url}/socket.io/socket.io.js` }),
  "socket.io.min.js": (url) => (page) => page.addScriptTag({ url: `${url}/socket.io/socket.io.min.js` }),
  "socket.io.esm.min.js": (url) => (page) => page.evaluate(async (url) => {
    window.io = (await import(url)).io;
  }, `${url}/socket.io/socket.io.esm.min.js`),
};

serverTest("the client from the server itself, as a script and as a module of another origin", { ...TIMEOUT, env: { CLIENT_BUNDLE_DIR: DIST } }, async (server) => {
  for (const [name, load] of Object.entries(LOADS)) {
    const bob = await Player.join(server, "bob");
    const page = await Page.join(server, "alice", { load: load(server.url) });
    assert.ok(page.loaded.includes(`${server.url}/socket.io/${name}`), `${page.loaded}`);
    assert.equal(await page.next("upgrade"), "websocket");
    await seeEachOther(server, page, "alice", bob, "bob");
    await bob.leave();
  }
});
