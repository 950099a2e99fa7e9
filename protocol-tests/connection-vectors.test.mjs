// One connection at a time against the real binary, below the official client: what comes back, and how it ends.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { frameMatches, load, matches, text, title } from "./support/fixtures.mjs";
import { exchange, GATEWAY, httpRequest, RawSession, upgradeRequest } from "./support/raw.mjs";
import { Server, serverTest } from "./support/server.mjs";

const NO_STATUS = 1005;

/** One server for the subtests of `body`, all of which must leave it as they found it: nobody has an activity. */
function sharedServerTest(name, options, body) {
  serverTest(name, { timeout: 120_000, ...options }, async (server, t) => {
    const witness = await RawSession.join(server, "carol");
    await body(server, t);
    await nothingStored(server);
    const noticed = witness.unread().filter(({ frame }) => frame !== "2");
    assert.deepEqual(noticed, [], "the witness noticed something");
    witness.send('42["get-activities"]');
    assert.equal(await witness.frame(), '42["activities",[]]');
    witness.destroy();
  });
}

async function nothingStored(server) {
  const late = await RawSession.join(server, "bob");
  assert.deepEqual(late.activities, []);
  await late.leave();
}

// ---------------------------------------------------------------------------------------------------------------------
// fixtures/connection-vectors.json

function play(session, items) {
  for (const item of items) {
    if (item.binary !== undefined) session.send(Buffer.from(item.binary, "base64"));
    else if (item.bytes !== undefined) session.socket.write(Buffer.from(item.bytes, "hex"));
    else session.send(text(item));
  }
}

for (const { name, send, expect, close, log, stored = [] } of load("connection-vectors.json")) {
  serverTest(`vector: ${name}`, { users: ["alice", "bob"] }, async (server) => {
    const session = await RawSession.open(server, "alice");
    const sids = new Set([session.handshake.sid]);
    play(session, send);

    for (const pattern of expect) {
      const frame = await session.frame();
      assert.ok(frameMatches(pattern, frame), `expected ${pattern}, got ${frame}`);
      const sid = /^40\{"sid":"(.*)"\}$/.exec(frame)?.[1];
      if (sid !== undefined) {
        assert.ok(!sids.has(sid), "a sid that was there before");
        sids.add(sid);
      }
    }
    if (close !== undefined) assert.equal(await session.closed(), close === true ? NO_STATUS : close);
    if (log === undefined) assert.doesNotMatch(server.stderr, /the client sent/);
    else await server.logged(new RegExp(`: the client sent ${log}\n`));

    // Somebody else comes: the server goes on, and knows what it should know.
    const late = await RawSession.join(server, "bob");
    if (stored !== null) {
      assert.ok(matches(stored, late.activities), `expected ${JSON.stringify(stored)}, got ${JSON.stringify(late.activities)}`);
    }
    assert.deepEqual(session.unread(), [], "there was more");
    if (close === undefined) assert.equal(session.ws.readyState, session.ws.OPEN);
    session.destroy();
    await late.leave();
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// The packet tables, sent to the server

/** It costs the connection, and the log says why. */
async function violates(server, session, wire) {
  const from = server.stderr.length;
  session.send(wire);
  assert.equal(await session.closed(), NO_STATUS);
  await server.logged(/: the client sent .+\n.*: parse error \(/, from);
}

sharedServerTest("every bad row of socketio-packets.json closes the connection", {}, async (server, t) => {
  for (const row of load("socketio-packets.json").filter((row) => row.error)) {
    await t.test(title(row.wire), async () => {
      const wire = text(row.wire);
      // A second CONNECT would be closed for another reason.
      const session = await (wire.startsWith("0") ? RawSession.open : RawSession.join)(server, "alice");
      await violates(server, session, `4${wire}`);
    });
  }
});

sharedServerTest("every bad row of engineio-packets.json closes the connection", {}, async (server, t) => {
  for (const row of load("engineio-packets.json").filter((row) => row.error)) {
    await t.test(title(row.wire), async () => {
      const session = await RawSession.join(server, "alice");
      await violates(server, session, text(row.wire));
    });
  }
});

sharedServerTest("events that nobody handles, and acks that nobody waits for, change nothing", {}, async (server) => {
  const session = await RawSession.join(server, "alice");
  const harmless = ({ packet, closes }) =>
    packet?.nsp === "/" && !closes && (packet.type === "ACK" || (packet.type === "EVENT" && !/^\["[sg]et-activit/.test(text(packet.data))));
  const rows = load("socketio-packets.json").filter(harmless);
  assert.ok(rows.length > 50);
  for (const row of rows) session.send(`4${text(row.wire)}`);
  session.send('42["get-activities"]');
  assert.equal(await session.frame(), '42["activities",[]]');
  session.destroy();
});

// ---------------------------------------------------------------------------------------------------------------------
// HTTP: what is refused, in which order, and how

const withKey = (server, name, headers) => ({ "X-Api-Key": server.key(name), ...headers });

async function refusedUpgrade(server, request, message) {
  const answer = await exchange(server, upgradeRequest(request));
  assert.equal(answer.status, 400);
  assert.equal(answer.headers["connection"]?.toLowerCase(), "close");
  assert.match(answer.headers["content-type"], /^text\/html/);
  assert.equal(answer.body, message);
}

async function refusedKey(server, request, status) {
  const answer = await exchange(server, upgradeRequest(request));
  assert.equal(answer.status, status);
  assert.equal(answer.headers["content-type"], "application/json");
  const { code, message, ...more } = JSON.parse(answer.body);
  assert.equal(code, 4);
  assert.match(message, /\w+/);
  assert.deepEqual(more, {});
}

async function accepted(server, request, enough) {
  const answer = await exchange(server, upgradeRequest(request), enough);
  assert.equal(answer.status, 101, answer.body);
  return answer;
}

const path = (query) => `/socket.io/?${query}`;

sharedServerTest("upgrade requests with a bad query, in the reference's order", {}, async (server, t) => {
  const live = await RawSession.open(server, "alice");
  const sid = encodeURIComponent(live.handshake.sid);
  const cases = [
    // [query, message, without a key too]
    ["", "Transport unknown", true],
    ["EIO=4", "Transport unknown", true],
    ["EIO=4&transport=", "Transport unknown", true],
    ["EIO=4&transport", "Transport unknown", true],
    ["EIO=4&transport=foo", "Transport unknown", true],
    ["EIO=4&transport=WEBSOCKET", "Transport unknown", true],
    ["EIO=4&transport=websocket+", "Transport unknown", true],
    ["EIO=4&transport=%ff", "Transport unknown", true],
    ["EIO=4&transport=%zz", "Transport unknown", true],
    ["EIO=4&transport=constructor", "Transport unknown", true],
    ["EIO=4&transport=__proto__", "Transport unknown", true],
    ["EIO=4&transport=webtransport", "Transport unknown", true],
    ["EIO=4&transport=websocket&transport=foo", "Transport unknown", true],
    ["transport=foo&sid=nope&EIO=3", "Transport unknown", true],
    ["&&=&==&%&+", "Transport unknown", true],
    ["EIO=4&transport=websocket&sid=nope", "Session ID unknown", true],
    ["EIO=3&transport=websocket&sid=nope", "Session ID unknown", true],
    ["EIO=4&transport=websocket&sid=__proto__", "Session ID unknown", true],
    ["EIO=4&transport=websocket&sid=%00", "Session ID unknown", true],
    [`EIO=4&transport=websocket&sid=${"x".repeat(2000)}`, "Session ID unknown", true],
    [`EIO=4&transport=websocket&sid=${sid}x`, "Session ID unknown", true],
    [`EIO=4&transport=websocket&sid=${sid}&sid=nope`, "Session ID unknown", true],
    [`EIO=3&transport=websocket&sid=${sid}`, "Bad request", true],
    // Polling by a WebSocket, or on a session that lives on one.
    ["EIO=4&transport=polling", "Bad request", true],
    [`EIO=4&transport=polling&sid=${sid}`, "Bad request", true],
    ["EIO=3&transport=websocket", "Unsupported protocol version", false],
    ["EIO=5&transport=websocket", "Unsupported protocol version", false],
    ["EIO=abc&transport=websocket", "Unsupported protocol version", false],
    ["EIO=&transport=websocket", "Unsupported protocol version", false],
    ["EIO=04&transport=websocket", "Unsupported protocol version", false],
    ["EIO=4+&transport=websocket", "Unsupported protocol version", false],
    ["eio=4&transport=websocket", "Unsupported protocol version", false],
    ["transport=websocket", "Unsupported protocol version", false],
    ["EIO=4&EIO=3&transport=websocket", "Unsupported protocol version", false],
  ];
  for (const [query, message, first] of cases) {
    await t.test(`${title(query)}: ${message}`, async () => {
      await refusedUpgrade(server, { path: path(query), headers: withKey(server, "alice") }, message);
      if (first) await refusedUpgrade(server, { path: path(query) }, message);
      else await refusedKey(server, { path: path(query) }, 401);
    });
  }
  // The session whose sid was used has come to no harm.
  live.send("40");
  assert.match(await live.frame(), /^40\{"sid":/);
  live.destroy();
});

sharedServerTest("queries that are served", {}, async (server, t) => {
  const queries = [
    "EIO=4&transport=websocket",
    "transport=websocket&EIO=4",
    "EIO=3&EIO=4&transport=websocket",
    "transport=foo&EIO=4&transport=websocket",
    "EIO=4&transport=web%73ocket",
    "EIO=%34&transport=websocket",
    "EIO=4&transport=websocket&sid=",
    "EIO=4&transport=websocket&sid",
    "EIO=4&transport=websocket&t=Q8AMszH&b64=1&token=%ff%zz&x",
    "&&EIO=4&&transport=websocket&&",
    "EIO=4&transport=websocket&constructor=1&__proto__=2",
  ];
  for (const query of queries) {
    await t.test(query, async () => {
      const session = await RawSession.join(server, "alice", { path: path(query) });
      await session.leave();
    });
  }
});

sharedServerTest("requests that are no upgrade get JSON", {}, async (server, t) => {
  const cases = [
    [{ method: "GET", query: "EIO=4&transport=websocket" }, 3, "Bad request"],
    [{ method: "GET", query: "EIO=3&transport=websocket" }, 3, "Bad request"],
    [{ method: "GET", query: "EIO=4&transport=websocket", headers: { Upgrade: "websocket" } }, 3, "Bad request"],
    [{ method: "GET", query: "EIO=4&transport=websocket", headers: { Connection: "Upgrade" } }, 3, "Bad request"],
    [{ method: "POST", query: "EIO=4&transport=polling", body: "40" }, 2, "Bad handshake method"],
    [{ method: "PUT", query: "EIO=4&transport=polling", body: "40" }, 2, "Bad handshake method"],
    [{ method: "DELETE", query: "EIO=4&transport=polling" }, 2, "Bad handshake method"],
    [{ method: "POST", query: "EIO=3&transport=polling", body: "40" }, 2, "Bad handshake method"],
    [{ method: "GET", query: "EIO=4&transport=polling&sid=nope" }, 1, "Session ID unknown"],
    [{ method: "POST", query: "EIO=4&transport=polling&sid=nope", body: "40" }, 1, "Session ID unknown"],
    [{ method: "PUT", query: "EIO=3&transport=polling&sid=nope", body: "40" }, 1, "Session ID unknown"],
    [{ method: "GET", query: "" }, 0, "Transport unknown"],
    [{ method: "GET", query: "transport=foo" }, 0, "Transport unknown"],
    [{ method: "GET", query: "EIO=4&transport=websocket&sid=nope" }, 1, "Session ID unknown"],
    [{ method: "POST", query: "EIO=4&transport=websocket&sid=nope", body: "40" }, 1, "Session ID unknown"],
    [{ method: "POST", query: "EIO=4&transport=websocket", body: "40" }, 2, "Bad handshake method"],
    [{ method: "PUT", query: "EIO=4&transport=websocket", body: "40" }, 2, "Bad handshake method"],
    [{ method: "DELETE", query: "EIO=4&transport=websocket" }, 2, "Bad handshake method"],
    [{ method: "PATCH", query: "EIO=4&transport=websocket" }, 2, "Bad handshake method"],
  ];
  for (const [{ method, query, headers, body }, code, message] of cases) {
    await t.test(`${method} ${query} ${title(headers ?? {})}: ${message}`, async () => {
      for (const key of [{}, withKey(server, "alice"), { "X-Api-Key": "wrong" }]) {
        const answer = await exchange(server, httpRequest({ method, path: path(query), headers: { ...key, ...headers }, body }));
        assert.equal(answer.status, 400);
        assert.equal(answer.headers["content-type"], "application/json");
        assert.deepEqual(JSON.parse(answer.body), { code, message });
      }
    });
  }
});

sharedServerTest("upgrade requests with another method", {}, async (server, t) => {
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    await t.test(method, async () => {
      await refusedUpgrade(server, { method, headers: withKey(server, "alice") }, "Bad handshake method");
      await refusedUpgrade(server, { method }, "Bad handshake method");
    });
  }
});

sharedServerTest("the WebSocket handshake", {}, async (server, t) => {
  for (const version of ["12", "7", "14", "0", "013", "abc", "", null, "13, 8", "13, 13", ["13", "8"], ["13", "13"]]) {
    await t.test(`Sec-WebSocket-Version: ${JSON.stringify(version)}`, async () => {
      const headers = withKey(server, "alice", { "Sec-WebSocket-Version": version });
      const answer = await exchange(server, upgradeRequest({ headers }));
      assert.equal(answer.status, 400);
      assert.equal(answer.headers["sec-websocket-version"], "13, 8");
      await refusedKey(server, { headers: { "Sec-WebSocket-Version": version } }, 401);
    });
  }
  for (const key of [null, "", "short", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZSE=", "!!!!!!!!!!!!!!!!!!!!!!==", "dGhlIHNhbXBsZSBub25jZQ== x", ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="], ["dGhlIHNhbXBsZSBub25jZQ==", ""]]) {
    await t.test(`Sec-WebSocket-Key: ${JSON.stringify(key)}`, async () => {
      const answer = await exchange(server, upgradeRequest({ headers: withKey(server, "alice", { "Sec-WebSocket-Key": key }) }));
      assert.equal(answer.status, 400);
    });
  }
  for (const headers of [{ "Content-Length": 5 }, { "Transfer-Encoding": "chunked" }]) {
    await t.test(`a body is announced: ${JSON.stringify(headers)}`, async () => {
      const answer = await exchange(server, upgradeRequest({ headers: withKey(server, "alice", headers) }) + "5\r\n40\r\n");
      assert.equal(answer.status, 400);
      assert.equal(answer.headers["connection"], "close");
    });
  }
  await t.test("Upgrade: h2c", async () => {
    const answer = await exchange(server, upgradeRequest({ headers: withKey(server, "alice", { Upgrade: "h2c" }) }));
    assert.equal(answer.status, 400);
  });
  await t.test("a control character in Origin", async () => {
    const answer = await exchange(server, upgradeRequest({ headers: withKey(server, "alice", { Origin: "http://a\x01b" }) }));
    assert.equal(answer.status, 400);
  });
  await t.test("the answer of RFC 6455's example", async () => {
    const { headers } = await accepted(server, { headers: withKey(server, "alice") });
    assert.equal(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert.equal(headers["upgrade"].toLowerCase(), "websocket");
    assert.equal(headers["connection"].toLowerCase(), "upgrade");
  });
  await t.test("spellings that are accepted", async () => {
    for (const headers of [
      { "Sec-WebSocket-Version": "8" },
      { Connection: "keep-alive, Upgrade" },
      { Connection: "UPGRADE" },
      { Upgrade: "WebSocket" },
      { "Content-Length": "0" },
    ]) {
      await accepted(server, { headers: withKey(server, "alice", headers) });
    }
  });
  await t.test("extensions are not taken", async () => {
    const offer = { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" };
    const { headers } = await accepted(server, { headers: withKey(server, "alice", offer) });
    assert.equal(headers["sec-websocket-extensions"], undefined);
  });
  await t.test("the first subprotocol that is offered is taken", async () => {
    const { headers } = await accepted(server, { headers: withKey(server, "alice", { "Sec-WebSocket-Protocol": "one, two" }) });
    assert.equal(headers["sec-websocket-protocol"], "one");
  });
  await t.test("frames right behind the request, in one segment", async () => {
    const frame = (packet) => Buffer.concat([Buffer.from([0x81, 0x80 | packet.length, 0, 0, 0, 0]), Buffer.from(packet)]);
    const bytes = Buffer.concat([
      Buffer.from(upgradeRequest({ headers: withKey(server, "alice") })),
      frame("40"),
      frame('42["get-activities"]'),
    ]);
    const answered = (rest) => rest.toString("latin1").split('42["activities",[]]').length === 3;
    const { rest } = await exchange(server, bytes, answered);
    assert.match(rest.toString("latin1"), /0\{.*40\{"sid":".*42\["activities",\[\]\].*42\["activities",\[\]\]$/s);
  });
  await t.test("rubbish right behind the request", async () => {
    const bytes = Buffer.concat([Buffer.from(upgradeRequest({ headers: withKey(server, "alice") })), Buffer.alloc(64, 0xff)]);
    // The last thing to come is a close frame with 1002.
    const closed = (rest) => rest.includes(Buffer.from([0x88, 0x02, 0x03, 0xea]));
    await exchange(server, bytes, closed);
  });
});

sharedServerTest("the session's id opens no second WebSocket", {}, async (server) => {
  const first = await RawSession.join(server, "alice");
  const sid = encodeURIComponent(first.handshake.sid);
  const second = new RawSession(server, "alice", { path: path(`EIO=4&transport=websocket&sid=${sid}`) });
  assert.equal(await second.closed(), NO_STATUS);
  first.send('42["get-activities"]');
  assert.equal(await first.frame(), '42["activities",[]]');
  await first.leave();
  // And when the session is gone, so is its id.
  await refusedUpgrade(server, { path: path(`EIO=4&transport=websocket&sid=${sid}`), headers: withKey(server, "alice") }, "Session ID unknown");
});

sharedServerTest(
  "keys: wrong, missing, removed, deactivated",
  { users: ["alice", "bob", "carol", { name: "gone", deleted_at: "2026-11-23T21:43:21.000Z" }, { name: "waiting", activated: false }, { name: "root", activated: false, role: 3 }] },
  async (server, t) => {
    const alice = server.key("alice");
    for (const [name, headers] of [
      ["no key", {}],
      ["an empty key", { "X-Api-Key": "" }],
      ["a wrong key", { "X-Api-Key": "0".repeat(64) }],
      ["half a key", { "X-Api-Key": alice.slice(0, 32) }],
      ["a key and more", { "X-Api-Key": `${alice}0` }],
      ["bytes that are no ASCII", { "X-Api-Key": "\u00e9".repeat(64) }],
      ["a very long key", { "X-Api-Key": "a".repeat(8000) }],
      ["a removed user's key", { "X-Api-Key": server.key("gone") }],
      ["two keys", { "X-Api-Key": [alice, server.key("bob")] }],
      ["a key and an empty one", { "X-Api-Key": [alice, ""] }],
    ]) {
      await t.test(`${name}: 401`, () => refusedKey(server, { headers }, 401));
    }
    await t.test("a key in the query does not count: 401", () => refusedKey(server, { path: `${GATEWAY}&X-Api-Key=${alice}` }, 401));
    await t.test("a deactivated user's key: 403", () => refusedKey(server, { headers: withKey(server, "waiting") }, 403));
    await t.test("a deactivated admin comes in", () => accepted(server, { headers: withKey(server, "root") }));
    await t.test("the same key twice", () => accepted(server, { headers: { "X-Api-Key": [alice, alice] } }));
    await t.test("the header's name in another case", () => accepted(server, { headers: { "x-api-KEY": alice } }));
  },
);

sharedServerTest("paths beside the gateway", {}, async (server, t) => {
  for (const wrong of ["/socket.io", "/socket.io/more", "//socket.io/", "/socket.iox/", "/api/socket.io/", "/engine.io/", "/nothing"]) {
    await t.test(wrong, async () => {
      for (const request of [httpRequest, upgradeRequest]) {
        const answer = await exchange(server, request({ path: `${wrong}?EIO=4&transport=websocket`, headers: withKey(server, "alice") }));
        assert.equal(answer.status, 404);
        assert.equal(JSON.parse(answer.body).statusCode, 404);
      }
    });
  }
});

sharedServerTest("CORS: every page may read every answer, and a preflight needs no key", {}, async (server, t) => {
  const Origin = "http://page.example";
  const cases = [
    ["a refused query", { path: path("transport=foo") }, 400],
    ["no key", {}, 401],
    ["a bad WebSocket version", { headers: withKey(server, "alice", { "Sec-WebSocket-Version": "1" }) }, 400],
    ["a session", { headers: withKey(server, "alice") }, 101],
  ];
  for (const [name, request, status] of cases) {
    await t.test(name, async () => {
      const answer = await exchange(server, upgradeRequest({ ...request, headers: { Origin, ...request.headers } }));
      assert.equal(answer.status, status);
      assert.equal(answer.headers["access-control-allow-origin"], "*");
    });
  }
  await t.test("OPTIONS without anything", async () => {
    for (const headers of [{}, { Origin }, { "Access-Control-Request-Method": "GET" }]) {
      const answer = await exchange(server, httpRequest({ method: "OPTIONS", path: path("EIO=4&transport=polling"), headers }));
      assert.equal(answer.status, 204);
      assert.equal(answer.headers["access-control-allow-origin"], "*");
      assert.equal(answer.headers["access-control-allow-credentials"], undefined);
    }
  });
  for (const query of ["EIO=4&transport=polling", "transport=foo", "EIO=4&transport=websocket&sid=nope"]) {
    await t.test(`preflight for ${query}`, async () => {
      const headers = { Origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key" };
      const answer = await exchange(server, httpRequest({ method: "OPTIONS", path: path(query), headers: { ...headers, Connection: "close" } }));
      assert.equal(answer.status, 204);
      assert.equal(answer.body, "");
      assert.equal(answer.headers["access-control-allow-origin"], "*");
      assert.equal(answer.headers["access-control-allow-headers"], "x-api-key");
      assert.match(answer.headers["access-control-allow-methods"], /GET.*POST/);
    });
  }
});

serverTest("CORS: pages that are named may send credentials, others may read nothing", { env: { SERVER_CORS_ALLOWED_ORIGINS: "https://games.example" } }, async (server) => {
  const seen = async (Origin, method) => {
    const request = { method, path: path("EIO=4&transport=polling"), headers: { ...withKey(server, "alice"), Origin } };
    const { headers } = await exchange(server, httpRequest(request));
    assert.match(headers.vary, /Origin/);
    return [headers["access-control-allow-origin"], headers["access-control-allow-credentials"]];
  };
  for (const method of ["GET", "OPTIONS"]) {
    assert.deepEqual(await seen("https://games.example", method), ["https://games.example", "true"]);
    assert.deepEqual(await seen("https://other.example", method), [undefined, undefined]);
    assert.deepEqual(await seen(null, method), [undefined, undefined]);
  }
});

serverTest("SERVER_ONLINE_ACTIVITIES_DISABLED: no gateway, REST goes on", { env: { SERVER_ONLINE_ACTIVITIES_DISABLED: "true" } }, async (server) => {
  const gateway = await exchange(server, upgradeRequest({ headers: withKey(server, "alice") }));
  assert.equal(gateway.status, 404);
  const rest = await exchange(server, httpRequest({ path: "/api/users/me", headers: withKey(server, "alice") }));
  assert.equal(rest.status, 200);
  assert.equal(JSON.parse(rest.body).username, "alice");
});

// ---------------------------------------------------------------------------------------------------------------------
// The open packet and the clock

sharedServerTest("the open packet: five members, the reference's defaults, a sid that nobody can guess", {}, async (server) => {
  const sids = new Set();
  for (let i = 0; i < 20; i += 1) {
    const session = await RawSession.open(server, "alice");
    const { sid, ...rest } = session.handshake;
    assert.deepEqual(rest, { upgrades: [], pingInterval: 25000, pingTimeout: 20000, maxPayload: 1000000 });
    assert.match(sid, /^[A-Za-z0-9_-]{22,}$/, "at least 128 bits, safe in a URL");
    sids.add(sid);
    session.destroy();
  }
  assert.equal(sids.size, 20);
});

const FAST = { ENGINE_PING_INTERVAL_MS: "200", ENGINE_PING_TIMEOUT_MS: "300" };

serverTest("the heartbeat: pings after the interval, waits for the pong, starts again from the pong", { env: FAST }, async (server) => {
  const session = await RawSession.open(server, "alice");
  assert.equal(session.handshake.pingInterval, 200);
  assert.equal(session.handshake.pingTimeout, 300);
  let last = performance.now();
  for (let i = 0; i < 3; i += 1) {
    assert.equal(await session.frame(), "2");
    const now = performance.now();
    assert.ok(now - last >= 190, `a ping after ${now - last} ms`);
    last = now;
    session.send("3");
  }
  session.destroy();
});

serverTest("the heartbeat: who does not answer is closed, whatever else is sent", { env: FAST }, async (server) => {
  const start = performance.now();
  const silent = await RawSession.open(server, "alice");
  const busy = await RawSession.join(server, "bob");
  const chatter = setInterval(() => busy.send('42["message"]'), 50);
  try {
    assert.equal(await silent.frame(), "2");
    assert.equal(await silent.closed(), NO_STATUS);
    assert.ok(performance.now() - start >= 480, "before interval and timeout were over");
    assert.equal(await busy.frame(), "2");
    assert.equal(await busy.closed(), NO_STATUS);
  } finally {
    clearInterval(chatter);
  }
});

serverTest("the connect timeout: who does not join a namespace is closed", { env: { ENGINE_CONNECT_TIMEOUT_MS: "300" } }, async (server) => {
  const start = performance.now();
  const joined = await RawSession.join(server, "alice");
  const idle = await RawSession.open(server, "bob");
  const refused = await RawSession.open(server, "carol");
  refused.send("40/custom,");
  assert.equal(await refused.frame(), '44/custom,{"message":"Invalid namespace"}');
  for (const session of [idle, refused]) assert.equal(await session.closed(), NO_STATUS);
  assert.ok(performance.now() - start >= 290);
  joined.send('42["get-activities"]');
  assert.equal(await joined.frame(), '42["activities",[]]');
  joined.destroy();
});

serverTest("the payload limit: announced, exact to the byte, fragments added up", { env: { ENGINE_MAX_PAYLOAD_BYTES: "1000" } }, async (server, t) => {
  const event = (bytes) => {
    const filled = `42["get-activities","${"é".repeat(Math.floor((bytes - 23) / 2))}${bytes % 2 ? "" : "a"}"]`;
    assert.equal(Buffer.byteLength(filled), bytes);
    return filled;
  };
  for (const [bytes, fits] of [[999, true], [1000, true], [1001, false], [5000, false]]) {
    for (const pieces of [1, 2, 10]) {
      await t.test(`${bytes} bytes in ${pieces}: ${fits ? "heard" : "1009"}`, async () => {
        const session = await RawSession.join(server, "alice");
        assert.equal(session.handshake.maxPayload, 1000);
        const whole = Buffer.from(event(bytes));
        const size = Math.ceil(whole.length / pieces);
        for (let i = 0; i < pieces; i += 1) {
          session.send(whole.subarray(i * size, (i + 1) * size), { binary: false, fin: i === pieces - 1 });
        }
        if (fits) assert.equal(await session.frame(), '42["activities",[]]');
        else assert.equal(await session.closed(), 1009);
        session.destroy();
      });
    }
  }
});

// ---------------------------------------------------------------------------------------------------------------------
// SIGTERM

serverTest("SIGTERM ends sessions that idle, that never joined, that stop in a frame or do not read, and bare connections", {}, async (server) => {
  const joined = await RawSession.join(server, "alice");
  const waiting = await RawSession.open(server, "bob");
  const half = await RawSession.open(server, "carol");
  half.socket.write(Buffer.from("81fe03", "hex"));
  const deaf = await RawSession.join(server, "carol");
  deaf.socket.pause();
  const bare = ["", "GET / HT"].map((bytes) => {
    const socket = net.connect(server.port, "127.0.0.1", () => socket.write(bytes));
    // One that is not accepted yet is reset, which is an end, too.
    socket.on("error", () => {});
    return { socket, closed: new Promise((resolve) => socket.resume().once("close", resolve)) };
  });
  await Promise.all(bare.map(({ socket }) => socket.connecting && once(socket, "connect")));

  await server.stop();
  for (const session of [joined, waiting, half]) assert.equal(await session.closed(), NO_STATUS);
  await Promise.all(bare.map(({ closed }) => closed));
  deaf.destroy();
});

test("a port that is taken: no start, and it says so", { timeout: 30_000 }, async () => {
  const first = await Server.start({ users: ["alice"] });
  try {
    await assert.rejects(Server.start({ users: ["alice"], env: { SERVER_PORT: String(first.port) } }), new RegExp(`${first.port}`));
    await first.finish();
  } finally {
    await first.remove();
  }
});
