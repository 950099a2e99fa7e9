// The documents that the server has of itself: valid, and true. What is sent and what is refused is held against their schemas, and they have all
// routes and events.

import assert from "node:assert/strict";
import fs from "node:fs";
import { Parser } from "@asyncapi/parser";
import Ajv from "ajv";
import Ajv2020 from "ajv/dist/2020.js";
import yaml from "js-yaml";
import { load, text } from "./support/fixtures.mjs";
import { WholePlayer } from "./support/player.mjs";
import { serverTest } from "./support/server.mjs";
import { Reader } from "./support/stream.mjs";

const DOCUMENTS = ["/api/docs", "/api/docs-json", "/api/docs-yaml", "/api/docs/async", "/api/docs/async-json", "/api/docs/async-yaml"];
const NOBODY_KNOWS = { env: { SERVER_ONLINE_ACTIVITIES_DISABLED: "yes" } };

const read = (file) => fs.readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
const get = (server, path, options) => fetch(server.url + path, options);
const json = async (server, path) => (await get(server, path)).json();

// ---------------------------------------------------------------------------------------------------------------------
// The documents as such

serverTest("AsyncAPI: the official parser has nothing against it, as JSON and as YAML", { timeout: 60_000 }, async (server) => {
  for (const path of ["/api/docs/async-json", "/api/docs/async-yaml"]) {
    const { document, diagnostics } = await new Parser().parse(await (await get(server, path)).text());
    // That there is a newer version of AsyncAPI, which fewer tools know.
    const found = diagnostics.filter(({ code }) => code !== "asyncapi-latest-version");
    assert.deepEqual(found, []);
    assert.equal(document.version(), "3.0.0");
  }
});

serverTest("YAML says what JSON says", {}, async (server) => {
  for (const path of ["/api/docs", "/api/docs/async"]) {
    const [inJson, inYaml] = await Promise.all(["json", "yaml"].map(async (form) => (await get(server, `${path}-${form}`)).text()));
    assert.deepEqual(yaml.load(inYaml), JSON.parse(inJson));
    assert.match(inYaml, /^(asyncapi: "3|openapi: "3\.1)\./, "in blocks");
  }
});

serverTest("anyone may read them, once", {}, async (server) => {
  for (const path of DOCUMENTS) {
    const answer = await get(server, path);
    const body = await answer.text();
    assert.equal(answer.status, 200, path);
    assert.ok(body.length > 5000, path);
    const { etag, "content-length": length, "access-control-allow-origin": origin, "x-content-type-options": sniff } = Object.fromEntries(answer.headers);
    assert.deepEqual([origin, sniff], ["*", "nosniff"]);
    const head = await get(server, path, { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-length"), head.headers.get("etag"), await head.text()], [200, length, etag, ""]);
    const again = await get(server, path, { headers: { "If-None-Match": etag } });
    assert.deepEqual([again.status, again.headers.get("etag"), await again.text()], [304, etag, ""]);
    for (const method of ["POST", "PUT", "DELETE"]) {
      const refused = await get(server, path, { method });
      assert.deepEqual([refused.status, refused.headers.get("allow")], [405, "GET, HEAD"]);
      await refused.text();
    }
    assert.equal((await get(server, `${path}/`)).status, 404);
  }
});

serverTest("they are the same where activities are disabled", NOBODY_KNOWS, async (server) => {
  for (const path of DOCUMENTS) assert.equal((await get(server, path)).status, 200, path);
});

serverTest("each schema says what it is, and each of its fields", {}, async (server) => {
  for (const path of ["/api/docs-json", "/api/docs/async-json"]) {
    const { components } = await json(server, path);
    assert.ok(Object.keys(components.schemas).length >= 8);
    for (const [name, schema] of Object.entries(components.schemas)) {
      assert.ok(schema.description, `src/api/documents/schemas.json should say under "schemas" what ${name} is`);
      for (const [field, of] of fields(schema)) {
        assert.ok(of.description || of.$ref, `src/api/documents/schemas.json should say under "fields" what ${name}.${field} is`);
      }
    }
  }
});

function fields(schema) {
  const own = Object.entries(schema.properties ?? {});
  return [...own, ...own.flatMap(([, inner]) => fields(inner))];
}

// ---------------------------------------------------------------------------------------------------------------------
// The events

/** A function that says what is wrong with a value by a schema of that document, or by a reference to one; null: nothing. */
function judge(document, schema) {
  const Validator = document.openapi ? Ajv2020 : Ajv;
  // Schemas that refer to others do so within their document.
  const ajv = new Validator({ strict: false, allErrors: true }).addSchema({ $id: "https://rollcall.test/", ...document }, "https://rollcall.test/");
  const within = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"https://rollcall.test/#/'));
  const validate = ajv.compile(within);
  return (value) => (validate(value) ? null : ajv.errorsText(validate.errors));
}

const messages = (document) => document.channels.gateway.messages;
const target = (document, { $ref }) => $ref.slice(2).split("/").reduce((part, name) => part[name], document);

serverTest("the document has the events of the code, all and no others", {}, async (server) => {
  const document = await json(server, "/api/docs/async-json");
  const lists = [...read("src/presence/events.rs").matchAll(/^impl (Client|Server)Event \{(.*?)^\}/gms)];
  assert.equal(lists.length, 2);
  const all = [];
  for (const [, side, code] of lists) {
    const names = [...code.matchAll(/=> "(.*)",/g)].map(([, name]) => name);
    const action = side === "Client" ? "receive" : "send";
    const operations = Object.entries(document.operations).filter(([, operation]) => operation.action === action);
    assert.deepEqual(operations.map(([name]) => name), names);
    for (const [name, operation] of operations) assert.deepEqual(operation.messages.map((message) => target(document, message).name), [name]);
    all.push(...names);
  }
  const documented = Object.values(messages(document)).map(({ name }) => name);
  assert.deepEqual(documented.filter(Boolean).sort(), all.sort());
  // Nobody sends a name of its own, past the lists.
  for (const file of fs.readdirSync(new URL("../src/presence/", import.meta.url))) {
    assert.doesNotMatch(read(`src/presence/${file}`), /emit\(\s*"|event\(\s*"\/",\s*"/, `${file} sends an event that is not in events.rs`);
  }
});

serverTest("what the server says is as the document has it", { timeout: 60_000, env: { AUTH_CONNECT_PAYLOAD_ENABLED: "true" } }, async (server) => {
  const document = await json(server, "/api/docs/async-json");
  const heard = new Map();
  const check = (event, args) => {
    const message = messages(document)[event];
    assert.ok(message, `the document lacks ${event}`);
    assert.equal(judge(document, message.payload)(args[0]), null, `${event}: ${JSON.stringify(args)}`);
    if (args.length > 1) assert.equal(judge(document, message["x-second-argument"])(args[1]), null, `${event}: ${JSON.stringify(args)}`);
    assert.ok(args.length <= (message["x-second-argument"] ? 2 : 1));
    heard.set(`${event}/${args.length}`, (heard.get(`${event}/${args.length}`) ?? 0) + 1);
  };
  const join = async (name, options) => {
    const player = new WholePlayer(server, name, options);
    player.socket.onAny((event, ...args) => check(event, args));
    await player.joined();
    return player;
  };
  const ask = async (player, event, ...args) => {
    const answer = await player.ask(event, ...args);
    const { reply } = document.operations[event];
    const fitting = reply.messages.filter((message) => judge(document, target(document, message).payload)(answer) === null);
    assert.equal(fitting.length, 1, `${event}(${JSON.stringify(args)}) is answered ${JSON.stringify(answer)}`);
    heard.set(fitting[0].$ref, true);
    return answer;
  };
  const alice = await join("alice");
  // As the document says, under the security scheme `auth`.
  const bob = await join("bob", { extraHeaders: {}, auth: { apiKey: server.key("bob") } });
  for (const report of document.components.schemas.Report.examples) await ask(alice, "set-activity", report);
  await ask(alice, "set-activity", { state: "PLAYING", game_id: null, details: "" });
  await ask(alice, "set-activity", { state: "PLAYING", game_id: 2 ** 53 - 1, details: "é😀".repeat(64) });
  for (const wrong of [[], [null], ["PLAYING"], [{ state: "SLEEPING" }], [{ state: "BUSY", details: 1 }]]) await ask(alice, "set-activity", ...wrong);
  await ask(bob, "get-activities");
  for (const interest of document.components.schemas.Interest.examples) await ask(bob, "watch", interest);
  for (const wrong of [[], [{}], [{ all: 1 }], [{ users: "all" }]]) await ask(bob, "watch", ...wrong);
  await ask(bob, "get-activities");
  await alice.leave();
  assert.equal((await bob.next("activity")).state, "PLAYING");
  const replies = Object.values(document.operations).flatMap(({ reply }) => reply?.messages ?? []);
  for (const { $ref } of replies) assert.ok(heard.has($ref), `nothing was answered as ${$ref}`);
  for (const wanted of ["activities/1", "activities/2", "activity/1", "exception/1"]) assert.ok(heard.get(wanted) > 0, `${wanted} was not said`);
});

/** Reports that no JSON Schema can tell from good ones: numbers that JavaScript has rounded when it sees them, and depth. */
const BEYOND_SCHEMAS = [
  "a game_id whose fraction is rounded away",
  "a game_id that is rounded to 1",
  "a game_id that is rounded to 0",
  "a game_id of minus nothing",
  "a negative game_id that is rounded to 0",
  "a game_id that is rounded to the largest",
  "10,000 levels of nesting",
];

serverTest("what the server refuses, the schema does, and what it takes as well", {}, async (server) => {
  const document = await json(server, "/api/docs/async-json");
  const report = judge(document, messages(document)["set-activity"].payload);
  const counts = { refused: 0, taken: 0, beyond: new Set() };
  for (const { name, send } of load("connection-vectors.json")) {
    const [, what] = /^set-activity(?: refused)?: (.*)$/.exec(name) ?? [];
    if (!what || what === "what was there stays") continue;
    const isRefused = name.includes("refused");
    for (const frame of send.map((part) => (part.binary ?? part.bytes ? "" : text(part)))) {
      const [, payload] = /^42\d*\["set-activity",(.*)\]$/s.exec(frame) ?? [];
      if (payload === undefined) continue;
      const isWrong = report(JSON.parse(payload)) !== null;
      if (isRefused && !isWrong) counts.beyond.add(what);
      else assert.equal(isWrong, isRefused, `${name}: ${payload.slice(0, 200)}`);
      counts[isRefused ? "refused" : "taken"] += 1;
    }
  }
  assert.deepEqual([...counts.beyond].sort(), [...BEYOND_SCHEMAS].sort());
  assert.ok(counts.refused > 50 && counts.taken > 10, JSON.stringify(counts));
});

serverTest("an interest and a lease, too: the server and the schema agree", {}, async (server) => {
  const [events, rest] = [await json(server, "/api/docs/async-json"), await json(server, "/api/docs-json")];
  const interest = judge(events, messages(events).watch.payload);
  const lease = judge(rest, rest.components.schemas.Lease);
  const alice = await WholePlayer.join(server, "alice");
  const interests = [{}, { all: true }, { all: false }, { all: 1 }, { users: [] }, { users: [1, 2] }, { users: [1, 2], all: null }, { users: null, all: true }, { users: null }];
  interests.push({ users: [1], all: true }, { users: ["1"] }, { users: [-1] }, { users: [1.5] }, { users: { 1: true } }, { users: Array(1000).fill(1) }, { users: Array(1001).fill(1) }, [], null, "all", { all: true, other: 1 });
  for (const payload of interests) {
    const { status } = await alice.ask("watch", payload);
    assert.equal(status === "ok", interest(payload) === null, JSON.stringify(payload).slice(0, 200));
  }
  const good = { state: "PLAYING", game_id: 42, details: "x", ttl_seconds: 60 };
  const changes = ["state", "game_id", "details", "ttl_seconds"].flatMap((field) => ["PLAYING", "OFFLINE", "", "x".repeat(128), "x".repeat(129), "\n", "\u007f", "\u0085", "\u0080x", "é", 0, 1, -1, 0.5, 60, 86_400, 86_401, 2 ** 53 - 1, 2 ** 53, true, null, [], {}].map((value) => ({ ...good, [field]: value })));
  const missing = Object.keys(good).map((field) => Object.fromEntries(Object.entries(good).filter(([name]) => name !== field)));
  const verdicts = new Set();
  for (const body of [...changes, ...missing, { ...good, other: [] }, [], null, 1, "x"]) {
    const { status } = await get(server, "/api/users/me/activity", { method: "PUT", headers: { "X-Api-Key": server.key("alice") }, body: JSON.stringify(body) });
    assert.ok([200, 400].includes(status));
    assert.equal(status === 200, lease(body) === null, JSON.stringify(body));
    verdicts.add(status);
  }
  assert.equal(verdicts.size, 2);
});

// ---------------------------------------------------------------------------------------------------------------------
// REST

serverTest("the document has every path and method that the code answers", {}, async (server) => {
  const { paths } = await json(server, "/api/docs-json");
  const code = fs.readdirSync(new URL("../src/api/", import.meta.url), { recursive: true }).filter((file) => file.endsWith(".rs")).map((file) => read(`src/api/${file}`)).join("\n");
  const places = [...code.matchAll(/fn (?:template|path)\(self\).*?\n    \}/gs)].map(([place]) => place);
  const templates = places.flatMap((place) => [...place.matchAll(/=> "(\/.*)",/g)].map(([, path]) => path));
  assert.ok(templates.length >= 15, "the code was read");
  assert.deepEqual(templates.filter((path) => !(path in paths)), [], "these are in Route::template, and not in Route::all");
  assert.deepEqual(Object.keys(paths).filter((path) => !templates.includes(path)), [], "src/api/documents/openapi.json has paths that are no Route");
  // The variants of the enum: one that has no place in `all` is in no document.
  const variants = /pub\(super\) enum Route \{(.*?)\n\}/s.exec(read("src/api/route.rs"))[1].match(/^    [A-Z]\w*/gm).map((name) => name.trim());
  const all = /fn all\(\).*?\n    \}/s.exec(read("src/api/route.rs"))[0];
  assert.deepEqual(variants.filter((name) => !all.includes(`Self::${name}`)), [], "add these to Route::all, and to src/api/documents/openapi.json");

  for (const [path, item] of Object.entries(paths)) {
    const documented = Object.keys(item).filter((name) => name !== "parameters");
    for (const method of documented) {
      const advice = `src/api/documents/openapi.json should say under "paths" what ${method.toUpperCase()} ${path} does`;
      const { summary, operationId, responses } = item[method];
      assert.ok(summary && operationId, advice);
      const good = Object.keys(responses).filter((status) => status < 400);
      assert.ok(good.length > 0 && good.every((status) => responses[status].$ref || responses[status].description), advice);
    }
    const place = path.replace("{id}", "1");
    const refused = await get(server, place, { method: "PATCH" });
    assert.equal(refused.status, 405, path);
    const allowed = refused.headers.get("allow").toLowerCase().split(", ");
    assert.deepEqual([...documented].sort(), [...allowed].sort(), `the methods of ${path}`);
  }
});

serverTest("the stream says what its document says", {}, async (server) => {
  const [events, rest] = [await json(server, "/api/docs/async-json"), await json(server, "/api/docs-json")];
  const stream = await Reader.open(server, { name: "alice" });
  const { responses, parameters } = rest.paths["/api/activities/stream"].get;
  assert.deepEqual([stream.status, stream.response.headers["content-type"]], [200, Object.keys(responses["200"].content)[0]]);
  const bob = await WholePlayer.join(server, "bob");
  for (const state of ["ONLINE", "PLAYING", "OFFLINE"]) await bob.ask("set-activity", { state });
  for (const [expected] of [["activities"], ["activity"], ["activity"], ["activity"]]) {
    const { event, data, id } = await stream.next();
    assert.equal(event, expected);
    assert.equal(judge(events, messages(events)[event].payload)(data), null);
    assert.match(id, /^\d+-\d+$/);
  }
  const header = parameters.find(({ in: place }) => place === "header").name;
  const query = parameters.find(({ in: place }) => place === "query").name;
  const byHeader = await Reader.open(server, { name: "alice", headers: { [header]: "0-0" } });
  const byQuery = await Reader.open(server, { name: "alice", path: `/api/activities/stream?${query}=0-0` });
  for (const late of [byHeader, byQuery]) assert.equal((await late.next()).event, "activities");
});
