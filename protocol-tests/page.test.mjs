// The page at `/`, as people use it: in a real browser, which speaks to the server by the page's own client. `SCREENSHOTS=1` makes the pictures
// of docs/page.md as well.

import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./support/chromium.mjs";
import { Player } from "./support/player.mjs";
import { proxyFor } from "./support/proxy.mjs";
import { PollingSession } from "./support/polling.mjs";
import { ROLE, serverTest } from "./support/server.mjs";

const TIMEOUT = { timeout: 60_000 };
/** A browser takes its time, above all the first time. */
const PAGE_MS = 10_000;
const users = [{ name: "root", role: ROLE.admin }, "alice", "bob", "carol", { name: "newcomer", activated: false }];
const WEBSOCKET = "Connected by WebSocket";
const POLLING = "Connected by long-polling";

const browser = await launch();
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
after(() => browser.close());

/** A tab of a browser, with the page in it. What goes wrong in it, against its policy too, fails the test at its end. */
class Tab {
  /** What the page has against itself. */
  mistakes = [];
  /** What it asked for: `{method, path, key}`. */
  sent = [];

  constructor(page, server) {
    this.page = page;
    this.server = server;
    page.setDefaultTimeout(PAGE_MS);
    page.on("pageerror", (error) => this.mistakes.push(error.stack));
    // That a request was answered with an error is the test's to judge.
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && !/Failed to load resource|WebSocket connection to/.test(message.text()) && this.mistakes.push(message.text()));
    page.on("request", (request) => this.sent.push({ method: request.method(), path: new URL(request.url()).pathname, key: request.headers()["x-api-key"] }));
  }

  static async open(server, { url = `${server.url}/`, ...options } = {}) {
    const context = await browser.newContext(options);
    server.adopt(() => context.close());
    await context.addInitScript(() => addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => console.error(`${violatedDirective} forbids ${blockedURI}`)));
    return Tab.beside(context, server, url);
  }

  /** One more tab of the same browser. */
  static async beside(context, server, url) {
    const tab = new Tab(await context.newPage(), server);
    await tab.page.goto(url);
    return tab;
  }

  /** A tab in which someone has signed in by key, and is connected. */
  static async join(server, name, { connected = WEBSOCKET, ...options } = {}) {
    const tab = await Tab.open(server, options);
    await tab.signIn(server.key(name));
    await tab.shows("#connection", connected);
    return tab;
  }

  async signIn(key) {
    await this.page.getByLabel("API key", { exact: true }).last().fill(key);
    await this.page.keyboard.press("Enter");
  }

  async signInAs(name, password) {
    await this.page.getByLabel("Name and password").check();
    await this.page.getByLabel("Name", { exact: true }).fill(name);
    await this.page.getByLabel("Password", { exact: true }).fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
  }

  async set(state, { game, details } = {}) {
    await this.page.getByRole("radio", { name: state, exact: true }).check();
    if (game !== undefined) await this.page.getByLabel("Game id").fill(game);
    if (details !== undefined) await this.page.getByLabel("Details").fill(details);
    await this.page.getByRole("button", { name: "Set status" }).click();
  }

  /** Waits until something shows a text. */
  shows(selector, text) {
    return this.page.locator(selector, { hasText: text }).waitFor();
  }

  /** Waits until someone is in a group, doing this. */
  async sees(name, group, doing = "") {
    const row = this.page.locator(".group", { has: this.page.getByRole("heading", { name: group }) }).locator("li", { hasText: name });
    const text = row.locator(".doing", doing === "" ? { hasText: /^$/ } : undefined);
    await (doing === "" ? text : text.getByText(doing, { exact: true })).waitFor({ state: "attached" });
  }

  /** Waits until someone is offline. */
  misses(name) {
    return this.page.locator("#away-list li", { hasText: name }).waitFor({ state: "attached" });
  }

  /** What axe has against it, by all its rules, or by some. */
  async complaints(rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]) {
    await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate((runOnly) => window.axe.run({ runOnly }), rules);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`));
  }

  fine() {
    assert.deepEqual(this.mistakes, []);
  }
}

const fine = (...tabs) => tabs.forEach((tab) => tab.fine());

serverTest("two browsers see each other, and official clients", { users, ...TIMEOUT }, async (server) => {
  const carol = await Player.join(server, "carol");
  const alice = await Tab.join(server, "alice");
  await alice.sees("alice", "Online");
  assert.equal((await carol.next("activity")).state, "ONLINE");
  const bob = await Tab.join(server, "bob");
  await bob.sees("alice", "Online");
  await bob.set("Playing", { game: "42", details: "The last level" });
  await alice.sees("bob", "Playing", "Game 42 · The last level");
  await bob.shows("#seen-as", "Everyone sees you: Playing · Game 42 · The last level");
  await carol.ask("set-activity", { state: "BUSY" });
  for (const tab of [alice, bob]) await tab.sees("carol", "Busy");
  assert.match(await alice.page.locator("#announcer", { hasText: "carol: Busy" }).textContent(), /carol: Busy/);
  assert.equal(await alice.page.title(), "(3) Rollcall");

  const time = alice.page.locator("li", { hasText: "bob" }).locator("time");
  assert.equal(await time.textContent(), "now");
  const since = Date.parse(await time.getAttribute("datetime"));
  assert.ok(Math.abs(Date.now() - since) < PAGE_MS);
  assert.match(await time.getAttribute("title"), /\d\d/);

  await bob.set("Invisible");
  await alice.misses("bob");
  await bob.shows("#seen-as", "Nobody sees you.");
  await bob.set("Busy");
  await alice.sees("bob", "Busy", "The last level");
  await bob.page.getByRole("button", { name: "Sign out" }).click();
  await alice.misses("bob");
  assert.equal(await bob.page.evaluate(() => document.activeElement.id), "key");
  assert.equal(await bob.page.evaluate(() => sessionStorage.length), 0);
  fine(alice, bob);
});

serverTest("the key is in the header of each request, and nowhere else", { users, ...TIMEOUT }, async (server) => {
  const tab = await Tab.join(server, "alice");
  const asked = tab.sent.filter(({ path }) => path.startsWith("/socket.io/") || path.startsWith("/api/"));
  assert.ok(asked.length > 3);
  for (const { path, key } of asked) assert.equal(key, server.key("alice"), path);
  assert.ok(!JSON.stringify(tab.sent.map(({ path }) => path)).includes(server.key("alice")));
  assert.ok(!(await tab.page.content()).includes(server.key("alice")));
  // What is kept is for this tab.
  await tab.page.reload();
  await tab.shows("#connection", WEBSOCKET);
  const other = await Tab.beside(tab.page.context(), server, server.url);
  await other.shows("h2", "Sign in");
  fine(tab, other);
});

serverTest("a reload, and a restart of the server: everyone is back, and nobody noticed", { users, ...TIMEOUT }, async (server) => {
  const [alice, bob] = [await Tab.join(server, "alice"), await Tab.join(server, "bob")];
  await alice.set("Playing", { game: "7" });
  await bob.sees("alice", "Playing", "Game 7");
  const carol = await Player.join(server, "carol");
  await alice.page.reload();
  await alice.shows("#connection", WEBSOCKET);
  await alice.shows("#seen-as", "Playing · Game 7");
  await bob.set("Busy");
  assert.deepEqual([(await carol.next("activity")).state, carol.all("activity").length], ["BUSY", 0]);

  await server.stop();
  for (const tab of [alice, bob]) {
    await tab.shows("#connection", /^Reconnecting in \d+ s$/);
    await tab.shows("#trouble", "The server does not answer.");
    assert.ok(await tab.page.getByRole("button", { name: "Set status" }).isDisabled());
  }
  await server.startAgain();
  for (const tab of [alice, bob]) {
    await tab.shows("#connection", WEBSOCKET);
    await tab.sees("alice", "Playing", "Game 7");
    await tab.sees("bob", "Busy");
    await tab.page.locator("#trouble", { hasText: /^$/ }).waitFor({ state: "hidden" });
  }
  fine(alice, bob);
});

serverTest("a page that is opened while the server is away waits for it", { users, ...TIMEOUT }, async (server) => {
  const url = await proxyFor(server);
  const tab = await Tab.join(server, "alice", { url });
  await server.stop();
  await tab.page.reload({ waitUntil: "commit" });
  await server.startAgain();
  await tab.page.goto(url);
  await tab.shows("#connection", WEBSOCKET);
  await server.stop();
  await tab.shows("#trouble", "The server does not answer.");
  await tab.page.getByRole("button", { name: "Try now" }).click();
  await tab.shows("#trouble", "The server, or a proxy in front of it, answers 502.");
  await server.startAgain();
  await tab.page.getByRole("button", { name: "Try now" }).click();
  await tab.shows("#connection", WEBSOCKET);
  fine(tab);
});

for (const websockets of ["block", "cut"]) {
  serverTest(`a proxy that ${websockets}s WebSockets: it works by long-polling`, { users, ...TIMEOUT }, async (server) => {
    const bob = await Player.join(server, "bob");
    const tab = await Tab.open(server, { url: await proxyFor(server, { websockets }) });
    await tab.signIn(server.key("alice"));
    if (websockets === "cut") await tab.shows("#trouble", "The server does not answer.");
    await tab.shows("#connection", POLLING);
    await tab.set("Playing", { game: "1" });
    await tab.sees("alice", "Playing", "Game 1");
    await bob.ask("set-activity", { state: "BUSY" });
    await tab.sees("bob", "Busy");
    bob.all("activity");
    await tab.page.getByRole("button", { name: "Sign out" }).click();
    assert.deepEqual((await bob.next("activity")).state, "OFFLINE", "a goodbye, for which nobody waits");
    fine(tab);
  });
}

serverTest("a server that is silent is left, and found again", { users, ...TIMEOUT, env: { ENGINE_PING_INTERVAL_MS: "200", ENGINE_PING_TIMEOUT_MS: "400" } }, async (server) => {
  const tab = await Tab.join(server, "alice");
  await server.asleep(() => tab.shows("#trouble", "The server does not answer."));
  await tab.shows("#connection", "Connected by");
  await tab.sees("alice", "Online");
  fine(tab);
});

serverTest("a wrong sign-in is told what is wrong, and what to do", { users, ...TIMEOUT, env: { TRUSTED_PROXIES: "127.0.0.1", AUTH_MAX_FAILURES_PER_MINUTE: "3" } }, async (server) => {
  const tab = await Tab.open(server, { extraHTTPHeaders: { "X-Forwarded-For": "203.0.113.7" } });
  const says = (text) => tab.shows("#sign-in-error", text);
  const focus = () => tab.page.evaluate(() => [document.activeElement.id, document.activeElement.ariaInvalid]);
  await tab.signIn("");
  await says("Paste your API key here.");
  assert.deepEqual(await focus(), ["key", "true"]);
  await tab.signIn("schlüssel");
  await says("This is no API key");
  await tab.signIn("f".repeat(64));
  await says("Nobody has this key. Look at it again");
  await tab.signIn(server.key("newcomer"));
  await says("This user is not activated: an administrator has to do that first.");
  await tab.signInAs("", "");
  await says("Type your name.");
  assert.deepEqual(await focus(), ["name", "true"]);
  await tab.signInAs("alice", "");
  await says("Type your password.");
  await tab.signInAs("alice", "wrong");
  await says("Name and password do not match.");
  await tab.signInAs("alice", "wrong again");
  await says("Name and password do not match.");
  await tab.signInAs("alice", "and again");
  await says("Your address has shown too many wrong keys or passwords. Try again later. Wait 10 seconds.");
  await tab.page.getByRole("radio", { name: "API key" }).check();
  await tab.signIn(server.key("alice"));
  await tab.shows("#connection", WEBSOCKET);
  await server.stop();
  await tab.page.getByRole("button", { name: "Sign out" }).click();
  await tab.signIn(server.key("alice"));
  await says("The server does not answer. It may be starting again");
  await server.startAgain();
  fine(tab);
});

serverTest("a name and a password do as well", { users, ...TIMEOUT }, async (server) => {
  const child = server.spawn(["users", "password", "alice"]);
  child.stdin.end("a pass wörd: 1\n");
  assert.deepEqual(await once(child, "close"), [0, null]);
  await server.logged(/the users are as/);
  const tab = await Tab.open(server);
  await tab.signInAs("Alice", "a pass wörd: 1");
  await tab.shows("#connection", WEBSOCKET);
  await tab.sees("alice", "Online");
  assert.equal(await tab.page.evaluate(() => document.activeElement.id), "roster-title");
  await tab.page.reload();
  await tab.shows("#connection", WEBSOCKET);
  assert.ok(!(await tab.page.evaluate(() => JSON.stringify({ ...sessionStorage }))).includes("wörd"), "the password is forgotten");
  fine(tab);
});

serverTest("a full server says so, and lets in who tries again", { users, ...TIMEOUT, env: { ENGINE_MAX_SESSIONS: "1" } }, async (server) => {
  const bob = await PollingSession.join(server, "bob");
  const tab = await Tab.open(server);
  await tab.signIn(server.key("alice"));
  await tab.shows("#trouble", "The server has as many sessions as it may. Try again later. Wait 10 seconds.");
  await tab.shows("#connection", /^Reconnecting in 1\d s$/);
  await bob.send("41", "1");
  await bob.gone();
  await tab.page.getByRole("button", { name: "Try now" }).click();
  await tab.shows("#connection", WEBSOCKET);
  fine(tab);
});

serverTest("where activities are switched off, the page says so", { users, ...TIMEOUT, env: { SERVER_ONLINE_ACTIVITIES_DISABLED: "true" } }, async (server) => {
  const tab = await Tab.open(server);
  await tab.signIn(server.key("root"));
  await tab.shows("#trouble", "Activities are switched off on this server (SERVER_ONLINE_ACTIVITIES_DISABLED)");
  assert.ok(await tab.page.locator("#sessions").isHidden());
  fine(tab);
});

serverTest("a key that is void while the page is open, and while it is not connected", { users, ...TIMEOUT }, async (server) => {
  const [alice, bob] = [await Tab.join(server, "alice"), await Tab.join(server, "bob")];
  await server.command("users", "rotate", "alice");
  await alice.shows("#sign-in-error", "Your key is not valid any more: it was changed, or you were removed. Sign in again.");
  assert.equal(await alice.page.evaluate(() => sessionStorage.length), 0);
  await alice.signIn(server.users()[1].api_key);
  await alice.shows("#connection", WEBSOCKET);
  await server.command("users", "deactivate", "bob");
  await bob.shows("#sign-in-error", "This user is not activated: an administrator has to do that first.");

  await server.stop();
  await alice.shows("#trouble", "The server does not answer.");
  await server.command("users", "remove", "alice");
  await server.startAgain();
  await alice.shows("#sign-in-error", "Your key is not valid any more");
  fine(alice, bob);
});

serverTest("an admin sees who is connected, and disconnects a user", { users, ...TIMEOUT }, async (server) => {
  const bob = await Tab.join(server, "bob");
  const root = await Tab.join(server, "root");
  await root.shows("#sessions-sum", "2 connected: 2 by WebSocket, 0 by long-polling.");
  assert.ok(await bob.page.locator("#sessions").isHidden());
  const button = root.page.getByRole("button", { name: "Disconnect bob" });
  await button.click();
  await root.shows("dialog h2", "Disconnect bob?");
  await root.page.keyboard.press("Escape");
  assert.equal(await button.evaluate((it) => it === document.activeElement), true);
  await button.click();
  await root.page.locator("dialog").getByRole("button", { name: "Disconnect", exact: true }).click();
  await bob.shows("#trouble", "An admin has ended your sessions.");
  await bob.shows("#connection", "Disconnected");
  await root.misses("bob");
  await button.waitFor({ state: "detached" });
  await root.shows("#sessions-sum", "1 connected: 1 by WebSocket, 0 by long-polling.");
  await bob.page.getByRole("button", { name: "Connect again" }).click();
  await bob.shows("#connection", WEBSOCKET);
  await root.sees("bob", "Online");
  fine(bob, root);
});

serverTest("what the server does not take is said at the form", { users, ...TIMEOUT }, async (server) => {
  const tab = await Tab.join(server, "alice");
  for (const game of ["four", "-1", "9007199254740992"]) {
    await tab.set("Playing", { game });
    await tab.shows("#status-error", "A game id is a whole number");
    assert.deepEqual(await tab.page.evaluate(() => [document.activeElement.id, document.activeElement.ariaInvalid]), ["game", "true"]);
  }
  await tab.set("Playing", { game: "9007199254740991", details: "bell \u0007" });
  await tab.shows("#status-error", "The server did not take this: details must be a text");
  await tab.set("Playing", { details: '<img src=x onerror="alert(1)"> & "more"' });
  await tab.sees("alice", "Playing", 'Game 9007199254740991 · <img src=x onerror="alert(1)"> & "more"');
  assert.equal(await tab.page.locator("#status-error").textContent(), "");
  fine(tab);
});

serverTest("with the keyboard alone", { users, ...TIMEOUT }, async (server) => {
  const tab = await Tab.open(server);
  const { keyboard } = tab.page;
  const focused = () => tab.page.evaluate(() => document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent);
  const press = async (key, expected) => {
    await keyboard.press(key);
    assert.match(await focused(), expected, key);
  };
  // The field for the key has the focus.
  await press("Shift+Tab", /^API key/);
  await press("ArrowRight", /^Name and password/);
  await press("Tab", /^Name/);
  await press("Tab", /^Password/);
  await press("Shift+Tab", /^Name/);
  await press("Shift+Tab", /^Name and password/);
  await press("ArrowLeft", /^API key/);
  await press("Tab", /^API key/);
  await keyboard.type(server.key("root"));
  await keyboard.press("Enter");
  await tab.shows("#connection", WEBSOCKET);
  assert.match(await focused(), /^Who is here/);
  await press("Shift+Tab", /^Set status/);
  await press("Shift+Tab", /^Details/);
  await press("Shift+Tab", /^Online/);
  await press("ArrowDown", /^Busy/);
  const outline = await tab.page.evaluate(() => getComputedStyle(document.activeElement.nextElementSibling).outlineStyle);
  assert.equal(outline, "solid", "the focus can be seen");
  await press("ArrowDown", /^Playing/);
  await press("Tab", /^Game id/);
  await keyboard.type("42");
  await keyboard.press("Enter");
  await tab.sees("root", "Playing", "Game 42");
  await press("Tab", /^Details/);
  await press("Tab", /^Set status/);
  await press("Tab", /^Offline/);
  await keyboard.press("Enter");
  await tab.page.locator("#away-list").waitFor();
  await tab.page.getByRole("button", { name: "Disconnect root" }).waitFor();
  await press("Tab", /^Disconnect root/);
  await keyboard.press("Enter");
  await tab.shows("dialog h2", "Disconnect root?");
  await press("Tab", /^Disconnect$/);
  await press("Enter", /./);
  await tab.shows("#trouble", "An admin has ended your sessions.");
  await tab.page.locator("#trouble button").focus();
  await keyboard.press("Enter");
  await tab.shows("#connection", WEBSOCKET);
  assert.match(await focused(), /^Who is here/, "the button is gone, and the focus is not");
  await tab.page.locator("#sign-out").focus();
  await keyboard.press("Enter");
  await tab.shows("h2", "Sign in");
  assert.match(await focused(), /^API key/);
  fine(tab);
});

const LONG = "Wolfeschlegelsteinhausenbergerdorff".repeat(2).slice(0, 64);
const crowd = [{ name: "root", role: ROLE.admin }, "alice", "bob", "carol", "dora", "emil", { name: LONG }];

/** A page with something of everything on it. */
async function lively(server, name, options) {
  const doing = { alice: { state: "PLAYING", game_id: 42, details: "The last level" }, bob: { state: "BUSY", details: "In a meeting" }, carol: { state: "ONLINE" }, [LONG]: { state: "PLAYING", details: LONG } };
  for (const [player, report] of Object.entries(doing)) await (await Player.join(server, player)).ask("set-activity", report);
  const tab = await Tab.join(server, name, options);
  await tab.sees("bob", "Busy", "In a meeting");
  await tab.page.locator("summary").click();
  await tab.shows("#sessions-sum", "5 connected");
  return tab;
}

// What is dark has the same structure as what is light.
for (const [colorScheme, rules] of Object.entries({ light: undefined, dark: ["color-contrast"] })) {
  serverTest(`nobody is kept out: ${colorScheme}, by axe`, { users: crowd, ...TIMEOUT }, async (server) => {
    const tab = await Tab.open(server, { colorScheme });
    await tab.signIn("wrong");
    await tab.shows("#sign-in-error", "Nobody has this key");
    assert.deepEqual(await tab.complaints(rules), []);
    const full = await lively(server, "root", { colorScheme });
    assert.deepEqual(await full.complaints(rules), []);
    await full.page.getByRole("button", { name: "Disconnect alice" }).click();
    assert.deepEqual(await full.complaints(rules), []);
    await full.page.keyboard.press("Escape");
    await server.stop();
    await full.shows("#trouble", "The server does not answer.");
    assert.deepEqual(await full.complaints(rules), []);
    await server.startAgain();
    fine(tab, full);
  });
}

serverTest("on a narrow screen nothing has to be scrolled sideways", { users: crowd, ...TIMEOUT }, async (server) => {
  const viewport = { width: 320, height: 640 };
  const overhang = (tab) => tab.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  const tab = await Tab.open(server, { viewport });
  assert.equal(await overhang(tab), 0);
  const full = await lively(server, "root", { viewport });
  assert.equal(await overhang(full), 0);
  await full.page.getByRole("button", { name: `Disconnect ${LONG}` }).click();
  assert.equal(await overhang(full), 0);
  fine(tab, full);
});

for (const [how, options, prefix, env] of [
  ["by the server", { prefix: "" }, "activities/", { SERVER_BASE_PATH: "/activities" }],
  ["by a proxy that takes the prefix off", { prefix: "/activities" }, "", {}],
]) {
  serverTest(`below a prefix, ${how}`, { users, ...TIMEOUT, env }, async (server) => {
    const url = (await proxyFor(server, options)) + prefix;
    assert.match(url, /\/activities\/$/);
    const tab = await Tab.join(server, "root", { url });
    await tab.set("Busy");
    await tab.sees("root", "Busy");
    await tab.shows("#sessions-sum", "1 connected");
    assert.ok(tab.sent.every(({ path }) => path.startsWith("/activities/")), "nothing is asked for elsewhere");
    fine(tab);
  });
}

serverTest("the page's files, and what browsers are told about them", { users, env: { SERVER_BASE_PATH: "a/b" } }, async (server) => {
  const get = async (path, options) => {
    const response = await fetch(server.url + path, { redirect: "manual", ...options });
    return { response, text: await response.text(), header: (name) => response.headers.get(name) };
  };
  const html = (await get("/")).text;
  const scripts = new Set(["page/main.js"]);
  for (const script of scripts) {
    const { response, text, header } = await get(`/${script}`);
    assert.equal(response.status, 200, script);
    assert.equal(header("content-type"), "text/javascript; charset=utf-8");
    for (const [, name] of text.matchAll(/from "\.\/([\w-]+\.js)"/g)) scripts.add(`page/${name}`);
  }
  const linked = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
  assert.ok(linked.includes("page/main.js") && scripts.size > 8);
  for (const path of ["", ...linked, ...scripts]) {
    const found = await get(`/${path}`, { headers: { "Accept-Encoding": "gzip" } });
    const policy = found.header("content-security-policy");
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
    assert.doesNotMatch(policy, /unsafe|\*|http/);
    assert.deepEqual(["x-content-type-options", "referrer-policy", "cache-control"].map(found.header), ["nosniff", "no-referrer", "public, max-age=0"]);
    assert.ok(found.header("content-encoding") === "gzip" || found.text.length < 1024, path);
    const again = await get(`/a/b/${path}`, { headers: { "If-None-Match": found.header("etag") } });
    assert.deepEqual([again.response.status, again.header("content-security-policy")], [304, policy], path);
    assert.doesNotMatch(found.text, /https?:\/\/(?!www\.w3\.org\/2000\/svg)/, "nothing is from elsewhere");
    assert.doesNotMatch(found.text, /<script>|<style|\sstyle=|\son\w+="/, "nothing is in line");
  }
  assert.equal((await get("/", { method: "POST" })).response.status, 405);
  const moved = await get("/a/b");
  assert.deepEqual([moved.response.status, moved.header("location")], [308, "/a/b/"]);
  for (const path of ["/a", "/a/", "/a/bc", "/a/b//", "/a/b/a/b/", "/a/b/metrics", "/a/b/healthz"]) assert.equal((await get(path)).response.status, 404, path);
  const me = await get("/a/b/api/users/me", { headers: { "X-Api-Key": server.key("alice") } });
  assert.equal(JSON.parse(me.text).username, "alice");
});

if (process.env.SCREENSHOTS) {
  const names = ["root", "alice", "bob", "carol", "dora", "emil", "frida"];
  const reports = { alice: [12, { state: "PLAYING", game_id: 42, details: "The last level" }], bob: [47, { state: "BUSY", details: "In a meeting" }], carol: [130, { state: "ONLINE" }], dora: [3, { state: "PLAYING", game_id: 7 }] };
  const desktop = { width: 920, height: 620 };
  const shots = { "page-light": { viewport: desktop }, "page-dark": { viewport: desktop, colorScheme: "dark" }, "page-phone": { viewport: { width: 360, height: 780 } } };
  serverTest("pictures for docs/page.md", { users: names.map((name) => ({ name, role: name === "root" ? ROLE.admin : ROLE.user })), ...TIMEOUT }, async (server) => {
    // As if they had been here for a while.
    await server.stop();
    const known = Object.entries(reports).map(([name, [minutes, report]]) => ({ user_id: server.id(name), socket_id: "rR2dmfxU8YsB1TLlKuXH", since: Date.now() - minutes * 60_000, ...report }));
    fs.writeFileSync(path.join(server.folder, "users.activities.json"), JSON.stringify(known));
    await server.startAgain();
    for (const [name, [, report]] of Object.entries(reports)) {
      const transports = name === "carol" ? ["polling"] : ["websocket"];
      await (await Player.join(server, name, { transports })).ask("set-activity", report);
    }
    for (const [name, options] of Object.entries(shots)) {
      const tab = await Tab.join(server, "root", options);
      await tab.sees("root", "Online");
      await tab.shows("#sessions-sum", "5 connected");
      await tab.page.screenshot({ path: fileURLToPath(new URL(`../docs/${name}.png`, import.meta.url)) });
      await tab.page.getByRole("button", { name: "Sign out" }).click();
      fine(tab);
    }
  });
}
