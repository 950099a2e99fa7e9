// Long-polling against the real binary, request by request (fixtures say what packets mean; this says how they travel).

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import zlib from "node:zlib";
import { bareEvent } from "./support/activity.mjs";
import { reached } from "./support/metrics.mjs";
import { Player } from "./support/player.mjs";
import { ask, assertEmpty, assertOk, assertRefused, BAD_REQUEST, POLLING, PollingSession, UNKNOWN } from "./support/polling.mjs";
import { exchange, RawSession, upgradeRequest } from "./support/raw.mjs";
import { NO_GRACE, serverTest } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

const ONLINE = '42["set-activity",{"state":"ONLINE"}]';

/** A witness who has seen alice, on long-polling, come ONLINE. */
async function watched(server, options) {
  const bob = await Player.join(server, "bob");
  const alice = await PollingSession.join(server, "alice", options);
  await alice.send(ONLINE);
  assert.match(await alice.packet(), /"ONLINE"/);
  assert.equal((await bob.next("activity")).state, "ONLINE");
  const left = async () => {
    assert.deepEqual(await bob.next("activity"), { user_id: server.id("alice"), socket_id: alice.sid, state: "OFFLINE" });
    await alice.gone();
    assert.deepEqual(await bob.ask("get-activities"), []);
  };
  return { alice, bob, left };
}

/** A joined session, and a GET of it that waits. */
async function waiting(server) {
  const alice = await PollingSession.join(server, "alice");
  return { alice, held: await alice.hold() };
}

async function closed(alice, held, last = "1") {
  const answer = await held.answer;
  assert.equal(answer.status, 200);
  assert.equal(answer.body, last);
  await alice.gone();
}

// ---------------------------------------------------------------------------------------------------------------------
// GET and POST

serverTest("the handshake", {}, async (server) => {
  const sids = new Set();
  for (const query of ["", "&b64=1", "&t=Q8AMszH", "&sid=", "&sid", "&j=0", "&sid=nope&sid=", "&__proto__=1&constructor=2", "&EIO=3&EIO=4"]) {
    const { status, headers, body } = await ask(server, { path: `${POLLING}${query}`, headers: { "X-Api-Key": server.key("alice") } });
    assert.equal(status, 200, `${query}: ${body}`);
    assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
    assert.equal(headers["content-length"], String(body.length));
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(body[0], "0");
    const { sid, ...rest } = JSON.parse(body.slice(1));
    assert.deepEqual(rest, { upgrades: ["websocket"], pingInterval: 25000, pingTimeout: 20000, maxPayload: 1000000 });
    assert.match(sid, /^[A-Za-z0-9_-]{22,}$/);
    sids.add(sid);
  }
  assert.equal(sids.size, 9);
});

serverTest("the handshake: key and version are asked for, in this order", {}, async (server) => {
  for (const headers of [{}, { "X-Api-Key": "wrong" }]) {
    for (const path of [POLLING, POLLING.replace("EIO=4", "EIO=3")]) {
      const answer = await ask(server, { path, headers });
      assert.equal(answer.status, 401);
      assert.equal(answer.headers["content-type"], "application/json");
      assert.equal(JSON.parse(answer.body).code, 4);
    }
  }
  for (const version of ["EIO=3", "EIO=5", "EIO=", "EIO=04", "x=4", "EIO=4&EIO=3"]) {
    const answer = await ask(server, { path: POLLING.replace("EIO=4", version), headers: { "X-Api-Key": server.key("alice") } });
    assertRefused(answer, { code: 5, message: "Unsupported protocol version" });
  }
});

serverTest("a GET waits until there is something to send", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const { alice, held } = await waiting(server);
  bob.emit("set-activity", { state: "BUSY" });
  const { status, headers, body } = await held.answer;
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(headers["content-length"], String(Buffer.byteLength(body)));
  const [event, activity] = JSON.parse(body.slice(2));
  assert.equal(event, "activity");
  assert.deepEqual(bareEvent(event, activity), { user_id: server.id("bob"), socket_id: bob.sid, state: "BUSY" });
  await alice.alive();
});

serverTest("several packets in a POST, several in the answer to one GET, all in order", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const bob = await Player.join(server, "bob");
  const packets = Array.from({ length: 50 }, (_, i) => `42${i}["set-activity",{"state":"PLAYING","game_id":${i}}]`);
  await alice.send(...packets);
  // When bob knows the last, all acks are there.
  while ((await bob.next("activity")).game_id !== 49);
  const { body } = await alice.get().answer;
  const acks = body.split("\x1e").filter((packet) => packet.startsWith("43"));
  assert.deepEqual(acks.map((ack) => JSON.parse(ack.replace(/^43\d+/, ""))[0].activity.game_id), Array.from({ length: 50 }, (_, i) => i));
  assert.deepEqual(acks.map((ack) => parseInt(ack.slice(2), 10)), Array.from({ length: 50 }, (_, i) => i));
  await alice.alive();
});

serverTest("the answer to a POST", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const answer = await alice.post('42["message"]').answer;
  assertOk(answer);
  assert.equal(answer.headers["content-type"], "text/html");
  assert.equal(answer.headers["content-length"], "2");
  assert.equal(answer.headers["cache-control"], "no-store");
});

serverTest("a POST may have any content type but one", NO_GRACE, async (server, t) => {
  const alice = await PollingSession.join(server, "alice");
  for (const type of ["text/plain", "text/plain; charset=ISO-8859-1", "application/json", "text/html", "application/x-www-form-urlencoded", "nonsense", "application/octet-stream2"]) {
    await t.test(type, async () => assertOk(await alice.post('42["message"]', { headers: { "Content-Type": type } }).answer));
  }
  await t.test("none", async () => {
    const { answer } = alice.begin('42["message"]', 13);
    assert.deepEqual(await answer, { status: 200, body: "ok" });
  });
  await alice.alive();
  await t.test("application/octet-stream ends the session", async () => {
    const { alice: other, left } = await watched(server);
    const held = await other.hold();
    assertEmpty(await other.post("\x014", { headers: { "Content-Type": "application/octet-stream" } }).answer, 400);
    assert.equal((await held.answer).body, "1");
    await left();
  });
});

serverTest("a chunked POST, cut anywhere, even in a letter", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const body = Buffer.from('42["é"]\x1e420["get-activities"]');
  const request = alice.post(undefined, { headers: { "Transfer-Encoding": "chunked" }, chunks: [...body].map((byte) => Buffer.from([byte])) });
  assertOk(await request.answer);
  assert.equal(await alice.packet(), '42["activities",[]]');
  assert.equal(await alice.packet(), "430[[]]");
});

serverTest("binary, base64 behind a b, is an attachment or nothing; what it belongs to has no use for it, and nobody else notices", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  const { alice: sender, held: exception } = await waiting(server);
  await sender.send('451-["set-activity",{"_placeholder":true,"num":0}]', "bAQID");
  assert.match((await exception.answer).body, /^42\["exception",/);
  await sender.alive();
  for (const packets of [["bAQID"], ["b"], ['451-["set-activity",{"_placeholder":true,"num":1}]', "bAQID"]]) {
    const { alice, held } = await waiting(server);
    await alice.send(...packets);
    await closed(alice, held);
  }
  assert.deepEqual(await bob.ask("get-activities"), []);
  assert.deepEqual(bob.all("activity"), []);
});

// ---------------------------------------------------------------------------------------------------------------------
// The limit

const SMALL = { env: { ...NO_GRACE.env, ENGINE_MAX_PAYLOAD_BYTES: "1000" } };

/** One event, full of letters of two bytes. */
function event(bytes) {
  const filled = `42["message","${"é".repeat((bytes - 16) >> 1)}${bytes % 2 ? "a" : ""}"]`;
  assert.equal(Buffer.byteLength(filled), bytes);
  return filled;
}

serverTest("the limit of a POST is in bytes, and exact", SMALL, async (server, t) => {
  const chunked = { headers: { "Transfer-Encoding": "chunked" } };
  for (const bytes of [999, 1000, 1001, 5000]) {
    for (const announced of [true, false]) {
      await t.test(`${bytes} bytes, ${announced ? "announced" : "chunked"}`, async () => {
        const { alice, bob, left } = await watched(server);
        assert.equal(alice.handshake.maxPayload, 1000);
        const request = announced ? alice.post(event(bytes)) : alice.post(undefined, { ...chunked, chunks: [event(bytes)] });
        const answer = await request.answer;
        if (bytes <= 1000) {
          assertOk(answer);
          await alice.alive();
          await alice.send("1");
        } else {
          assertEmpty(answer, 413);
        }
        await left();
        await bob.leave();
      });
    }
  }
});

serverTest("a POST that announces too much is refused before it comes, and one that brings too much before it ends", SMALL, async (server) => {
  for (const [first, length, headers] of [
    ["", 1001, {}],
    ["4", 2 ** 40, {}],
    ["3e9\r\n" + "4".repeat(1001) + "\r\n", null, { "Content-Length": null, "Transfer-Encoding": "chunked" }],
  ]) {
    const { alice, held } = await waiting(server);
    assert.deepEqual(await alice.begin(first, length, headers).answer, { status: 413, body: "" });
    await closed(alice, held);
  }
});

serverTest("the default limit", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  await alice.send(event(1_000_000));
  await alice.alive();
  const { answer } = alice.begin("", 1_000_001);
  assert.deepEqual(await answer, { status: 413, body: "" });
  await alice.gone();
});

// ---------------------------------------------------------------------------------------------------------------------
// What ends a session

serverTest("two GETs at a time", NO_GRACE, async (server) => {
  const { alice, left } = await watched(server);
  const first = await alice.hold();
  assertEmpty(await alice.get().answer, 400);
  const answer = await first.answer;
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "1");
  await left();
});

serverTest("two POSTs at a time", NO_GRACE, async (server) => {
  const { alice, left } = await watched(server);
  const held = await alice.hold();
  // Whichever comes second is refused; the other never gets an ok.
  const answers = await Promise.all([alice.begin(), alice.begin()].map(({ answer }) => answer));
  assert.equal(answers.filter(({ status, body }) => status === 400 && body === "").length, 1, JSON.stringify(answers));
  assert.ok(answers.every(({ status }) => status !== 200), JSON.stringify(answers));
  assert.equal((await held.answer).body, "1");
  await left();
});

serverTest("a GET that is aborted", NO_GRACE, async (server) => {
  const { alice, left } = await watched(server);
  (await alice.hold()).request.destroy();
  await left();
});

serverTest("a GET whose body never ends is answered, and its connection is not kept for that", {}, async (server, t) => {
  for (const [name, header, piece] of [
    ["announced", "Content-Length: 1000000", "x"],
    ["chunked", "Transfer-Encoding: chunked", "1\r\nx\r\n"],
  ]) {
    await t.test(name, async () => {
      const alice = await PollingSession.join(server, "alice");
      for (const silent of [true, false]) {
        const socket = net.connect(server.port, "127.0.0.1").on("error", () => {});
        server.adopt(() => socket.destroy());
        const ended = once(socket, "close");
        let text = "";
        socket.on("data", (data) => (text += data));
        socket.write(`GET ${alice.path} HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n${piece}`);
        const trickle = silent ? undefined : setInterval(() => socket.write(piece), 10);
        await alice.send('42["get-activities"]');
        await within(5000, "the end of the connection", ended).finally(() => clearInterval(trickle));
        assert.match(text, /^HTTP\/1\.1 200 [^]*42\["activities",\[\]\]$/);
        await alice.alive();
      }
    });
  }
});

serverTest("a POST that is aborted", NO_GRACE, async (server) => {
  const { alice, left } = await watched(server);
  const held = await alice.hold();
  const { socket } = alice.begin('42["set-activity",{"state":"BUSY"}]');
  await new Promise((resolve) => socket.end(resolve));
  assert.equal((await held.answer).body, "1");
  await left();
});

serverTest("malformed packets: ok, and the end of the session", {}, async (server, t) => {
  const bad = ["", "abc", "7", "9", "\x1e", "\x1e3", "3\x1e", "3\x1e\x1e3", "2", "2probe", "4", "4abc", "47", "42", "42[", "é", "\0", "40", "40\x1e1", "b!", "bAQID"];
  for (const body of bad) {
    await t.test(JSON.stringify(body), async () => {
      const { alice, held } = await waiting(server);
      assertOk(await alice.post(body).answer);
      await closed(alice, held);
    });
  }
});

serverTest("what stands before a malformed packet counts, what stands behind it does not", NO_GRACE, async (server) => {
  const { alice, bob, left } = await watched(server);
  await alice.send('42["set-activity",{"state":"BUSY"}]', "7", '42["set-activity",{"state":"ONLINE"}]');
  assert.equal((await bob.next("activity")).state, "BUSY");
  await left();
});

serverTest("a body that is no UTF-8 harms at most its own session", {}, async (server) => {
  const bob = await Player.join(server, "bob");
  for (const bytes of ["34ff", "ff", "3432226d5bc322", "c0803131"]) {
    const alice = await PollingSession.join(server, "alice");
    const { status } = await alice.post(Buffer.from(bytes, "hex")).answer;
    assert.ok([200, 400].includes(status), `${status}`);
    await alice.gone();
  }
  assert.deepEqual(await bob.ask("get-activities"), []);
});

serverTest("a client takes leave with 1: the GET that waits gets 6", {}, async (server) => {
  const { alice, bob, left } = await watched(server);
  const held = await alice.hold();
  await alice.send("1", '42["set-activity",{"state":"BUSY"}]');
  const answer = await held.answer;
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "6");
  await left();
  assert.deepEqual(bob.all("activity"), [], "what stands behind the 1 does not count");
});

serverTest("a DISCONNECT and a 1, as the official client sends them", {}, async (server) => {
  const { alice, left } = await watched(server);
  const held = await alice.hold();
  await alice.send("41");
  await alice.send("1");
  assert.equal((await held.answer).body, "6");
  await left();
});

// ---------------------------------------------------------------------------------------------------------------------
// Requests

serverTest("a connection for every request, or the same for all", {}, async (server, t) => {
  await t.test("Connection: close", async () => {
    const alice = await PollingSession.join(server, "alice");
    const ports = new Set();
    for (let i = 0; i < 10; i += 1) {
      const answer = await alice.post('42["get-activities"]').answer;
      assertOk(answer);
      assert.equal(answer.headers.connection, "close");
      ports.add(answer.port);
      assert.equal(await alice.packet(), '42["activities",[]]');
    }
    assert.equal(ports.size, 10);
  });
  await t.test("keep-alive", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
    server.adopt(() => agent.destroy());
    const alice = await PollingSession.join(server, "alice", { agent });
    const ports = new Set();
    for (let i = 0; i < 10; i += 1) {
      const held = await alice.hold();
      const answer = await alice.post('42["get-activities"]').answer;
      assertOk(answer);
      const { port, body } = await held.answer;
      assert.equal(body, '42["activities",[]]');
      ports.add(port).add(answer.port);
    }
    assert.ok(ports.size <= 2, `${ports.size} connections`);
  });
});

serverTest("ids that are none never open a session", {}, async (server, t) => {
  const alice = await PollingSession.join(server, "alice");
  const { sid } = alice.handshake;
  const flipped = sid.replace(/[A-Za-z]/, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()));
  assert.notEqual(flipped, sid);
  const ids = ["nope", "x", "x".repeat(8000), "__proto__", "constructor", "toString", "%00", "%ff", "..%2f..", "+", "null", "undefined", "0", `${sid}x`, sid.slice(1), sid.slice(0, -1), flipped, `%20${sid}`, `${sid}%00`, `${sid}&sid=nope`, encodeURIComponent(alice.sid), "%F0%9F%92%A9"];
  for (const id of ids) {
    await t.test(id.slice(0, 60), async () => {
      for (const headers of [{}, { "X-Api-Key": server.key("alice") }, { "X-Api-Key": "wrong" }]) {
        for (const [method, body] of [["GET"], ["POST", "40"], ["PUT", "40"]]) {
          assertRefused(await ask(server, { method, body, path: `${POLLING}&sid=${id}`, headers }), UNKNOWN);
        }
      }
    });
  }
  await alice.alive();
});

serverTest("methods", {}, async (server, t) => {
  const { alice, held } = await waiting(server);
  for (const method of ["PUT", "DELETE", "PATCH", "HEAD"]) {
    await t.test(method, async () => {
      for (const [path, expected] of [[POLLING, { code: 2, message: "Bad handshake method" }], [alice.path, BAD_REQUEST]]) {
        const answer = await ask(server, { method, path, headers: alice.headers });
        if (method === "HEAD") assertEmpty(answer, 400);
        else assertRefused(answer, expected);
      }
    });
  }
  await t.test("OPTIONS is a preflight, and needs no key", async () => {
    for (const path of [POLLING, alice.path]) {
      assertEmpty(await ask(server, { method: "OPTIONS", path, headers: { Origin: "http://page.example", "Access-Control-Request-Method": "POST" } }), 204);
    }
  });
  await t.test("POST without a session", async () => {
    assertRefused(await ask(server, { method: "POST", body: "40", headers: alice.headers }), { code: 2, message: "Bad handshake method" });
  });
  await alice.send('42["get-activities"]');
  assert.equal((await held.answer).body, '42["activities",[]]');
});

serverTest("CORS headers are on every answer", {}, async (server) => {
  const Origin = "http://page.example";
  const alice = await PollingSession.join(server, "alice");
  const held = alice.get({ headers: { Origin } });
  const answers = [
    await ask(server, { headers: { Origin, "X-Api-Key": server.key("alice") } }),
    await ask(server, { headers: { Origin } }),
    await ask(server, { path: `${POLLING}&sid=nope`, headers: { Origin } }),
    await alice.post('42["get-activities"]', { headers: { Origin } }).answer,
    await held.answer,
    await alice.post("", { headers: { Origin, "Content-Type": "application/octet-stream" } }).answer,
  ];
  assert.deepEqual(answers.map(({ status }) => status), [200, 401, 400, 200, 200, 400]);
  for (const { headers } of answers) assert.equal(headers["access-control-allow-origin"], "*");
});

serverTest("another version, or the wrong transport, on a later request harms nothing", {}, async (server) => {
  const { alice, held } = await waiting(server);
  for (const query of ["EIO=3", "EIO=5", "EIO=", "eio=4", "EIO=4&EIO=3"]) {
    for (const [method, body] of [["GET"], ["POST", ONLINE]]) {
      assertRefused(await ask(server, { method, body, path: alice.path.replace("EIO=4", query), headers: alice.headers }), BAD_REQUEST);
    }
  }
  // A WebSocket without an upgrade; an upgrade to long-polling.
  assertRefused(await ask(server, { path: alice.path.replace("polling", "websocket"), headers: alice.headers }), BAD_REQUEST);
  const answer = await exchange(server, upgradeRequest({ path: alice.path, headers: alice.headers }));
  assert.equal(answer.status, 400);
  await alice.send('42["get-activities"]');
  assert.equal((await held.answer).body, '42["activities",[]]');
});

serverTest("another user's key on a later request is refused and harms nothing, none is needed", {}, async (server) => {
  const { alice, held } = await waiting(server);
  for (const key of [server.key("bob"), "wrong", `${server.key("alice")}0`, [server.key("alice"), server.key("bob")]]) {
    for (const [method, body] of [["GET"], ["POST", ONLINE]]) {
      const answer = await ask(server, { method, body, path: alice.path, headers: { "X-Api-Key": key } });
      assert.equal(answer.status, 403, `${method} with the key ${key}`);
      assert.equal(answer.headers["content-type"], "application/json");
      assert.equal(JSON.parse(answer.body).code, 4);
    }
  }
  // An empty one is none.
  alice.headers = { "X-Api-Key": "" };
  await alice.send("3");
  alice.headers = {};
  await alice.send('42["get-activities"]');
  assert.equal((await held.answer).body, '42["activities",[]]', "and not ONLINE");
  await alice.send(ONLINE);
  assert.equal(JSON.parse((await alice.packet()).slice(2))[1].user_id, server.id("alice"), "still whose key it was opened with");
});

// ---------------------------------------------------------------------------------------------------------------------
// Compression

/** Events, and the payload of so many bytes that answers them. */
function events(bytes) {
  const activities = '42["activities",[]]';
  const plain = Math.floor((bytes - 55) / 20);
  // The ids of two acks make up for what is missing.
  const digits = bytes - 53 - 20 * plain;
  const ids = [digits >> 1, (digits + 1) >> 1].map((count) => "1".repeat(count));
  const payload = [...Array(plain).fill(activities), ...ids.flatMap((id) => [activities, `43${id}[[]]`])].join("\x1e");
  assert.equal(payload.length, bytes);
  return { payload, packets: [...Array(plain).fill(""), ...ids].map((id) => `42${id}["get-activities"]`) };
}

/** The answer to a GET that finds a payload of so many bytes, and that payload as it is. */
async function polled(alice, bytes, headers) {
  const { payload, packets } = events(bytes);
  await alice.send(...packets);
  return { payload, answer: await alice.get({ headers }).answer };
}

const DECODE = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync };

/** It is what an uncompressed answer says, and compressed as expected; `undefined`: not at all. */
function assertCoded({ payload, answer }, coding) {
  const { status, headers, bytes } = answer;
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(headers["content-length"], String(bytes.length));
  assert.equal(headers["transfer-encoding"], undefined);
  assert.equal(headers["content-encoding"], coding);
  assert.equal(headers.vary, coding && "Accept-Encoding");
  if (coding) assert.ok(bytes.length < payload.length / 2, `${bytes.length} bytes`);
  const text = (coding ? DECODE[coding](bytes) : bytes).toString();
  assert.ok(text === payload, text);
}

serverTest("a large answer is compressed as the client likes it", {}, async (server, t) => {
  const alice = await PollingSession.join(server, "alice");
  for (const [accepted, coding] of [
    [undefined],
    [""],
    ["gzip", "gzip"],
    ["GZip", "gzip"],
    ["deflate", "deflate"],
    ["gzip, deflate", "gzip"],
    ["deflate,gzip", "gzip"],
    ["gzip, deflate, br, zstd", "gzip"],
    ["br, identity"],
    ["gzip2, x, ,"],
    ["*", "gzip"],
    ["*;q=0"],
    ["br;q=1, *;q=0.1", "gzip"],
    ["gzip;q=0"],
    ["gzip; Q=0.000"],
    ["gzip;q=0, *", "deflate"],
    ["gzip;q=0, deflate;q=0, *"],
    ["gzip;q=0.001", "gzip"],
    ["gzip;q=0.5, deflate", "deflate"],
    ["gzip ; q=0.5 ,\tdeflate;q=0.4", "gzip"],
    ["gzip;q=1.000, deflate;q=1", "gzip"],
    // No weights: not understood, not used.
    ["gzip;q=2"],
    ["gzip;q=-1"],
    ["gzip;q=NaN"],
    ["gzip;q"],
    ["gzip;level=1"],
    [["br", "deflate"], "deflate"],
    ["gzip,".repeat(2000), "gzip"],
    ["g\xffzip, deflate"],
  ]) {
    await t.test(`${accepted}`.slice(0, 60), async () => {
      const headers = accepted === undefined ? {} : { "Accept-Encoding": accepted };
      assertCoded(await polled(alice, 5000, headers), coding);
    });
  }
  await alice.alive();
});

serverTest("from 1024 bytes of payload on", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  for (const accepted of ["gzip", "deflate"]) {
    const headers = { "Accept-Encoding": accepted };
    assertCoded(await polled(alice, 1023, headers), undefined);
    assertCoded(await polled(alice, 1024, headers), accepted);
    assertCoded(await polled(alice, 60_000, headers), accepted);
  }
});

serverTest("an answer that waits for its news is compressed as well", {}, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const held = await alice.hold({ headers: { "Accept-Encoding": "gzip" } });
  const { payload, packets } = events(2000);
  await alice.send(...packets);
  assertCoded({ payload, answer: await held.answer }, "gzip");
});

serverTest("nothing but answers to polls is compressed", {}, async (server) => {
  const headers = { "Accept-Encoding": "gzip" };
  const plain = (answer) => {
    assert.equal(answer.headers["content-encoding"], undefined);
    assert.equal(answer.headers.vary, undefined);
    return answer;
  };
  const alice = await PollingSession.join(server, "alice");
  const { payload, packets } = events(5000);
  plain(await ask(server, { headers: { ...alice.headers, ...headers } }));
  plain(await ask(server, { path: `${POLLING}&sid=nope`, headers }));
  assertOk(plain(await alice.post(packets.join("\x1e"), { headers }).answer));
  assert.equal((await alice.get().answer).body, payload);

  const bob = await RawSession.join(server, "bob", { headers });
  packets.forEach((packet) => bob.send(packet));
  for (const packet of payload.split("\x1e")) assert.equal(await bob.frame(), packet);
});

const PAGE = "http://page.example";

serverTest("compressed or not, whoever caches is told what the answer depends on", { env: { SERVER_CORS_ALLOWED_ORIGINS: PAGE } }, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  for (const [accepted, vary] of [["gzip", ["Accept-Encoding", "Origin"]], ["br", ["Origin"]]]) {
    const { answer } = await polled(alice, 2000, { Origin: PAGE, "Accept-Encoding": accepted });
    assert.equal(answer.headers["access-control-allow-origin"], PAGE);
    assert.deepEqual(answer.headers.vary.split(", ").sort(), vary);
  }
});

serverTest("compression can be switched off", { env: { ENGINE_COMPRESSION: "off" } }, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  assertCoded(await polled(alice, 5000, { "Accept-Encoding": "gzip, deflate" }), undefined);
});

// ---------------------------------------------------------------------------------------------------------------------
// Time

const FAST = { env: { ...NO_GRACE.env, ENGINE_PING_INTERVAL_MS: "200", ENGINE_PING_TIMEOUT_MS: "300" } };

serverTest("the heartbeat: a ping in a GET, the pong by POST, and again", FAST, async (server) => {
  const start = performance.now();
  const alice = await PollingSession.join(server, "alice");
  let last = start;
  for (let i = 0; i < 5; i += 1) {
    const { body } = await alice.get().answer;
    assert.equal(body, "2");
    const now = performance.now();
    assert.ok(now - last >= 190, `a ping after ${now - last} ms`);
    last = now;
    await alice.send("3");
  }
  assert.ok(performance.now() - start >= 950);
  await alice.alive();
});

serverTest("the heartbeat: no pong", FAST, async (server) => {
  const alice = await PollingSession.open(server, "alice");
  const start = performance.now();
  assert.equal((await alice.get().answer).body, "2");
  const held = alice.get();
  await closed(alice, held);
  assert.ok(performance.now() - start >= 480, "before interval and timeout were over");
  await server.logged(/ping timeout/);
});

serverTest("the heartbeat: whatever else is sent is no pong", FAST, async (server) => {
  const alice = await PollingSession.join(server, "alice");
  const ended = (async () => {
    for (;;) {
      const { status, body } = await alice.post('42["message"]').answer;
      if (status !== 200) return assert.deepEqual(JSON.parse(body), UNKNOWN);
    }
  })();
  await within(3000, "the end of a session that never answers a ping", ended);
});

serverTest("the heartbeat: nobody polls", FAST, async (server) => {
  const { left } = await watched(server);
  await left();
  await server.logged(/ping timeout/);
});

serverTest("who joins no namespace is closed", { env: { ENGINE_CONNECT_TIMEOUT_MS: "300" } }, async (server) => {
  const joined = await PollingSession.join(server, "bob");
  const alice = await PollingSession.open(server, "alice");
  const held = alice.get();
  await closed(alice, held);
  await joined.alive();
});

// ---------------------------------------------------------------------------------------------------------------------
// Masses

serverTest("10,000 tiny packets in a POST, and 1 MB of separators, and nobody else notices", { timeout: 60_000 }, async (server) => {
  const bob = await Player.join(server, "bob");
  const busy = async (attack) => {
    let done = false;
    const attacks = attack().finally(() => (done = true));
    let slowest = 0;
    do {
      const start = performance.now();
      await bob.ask("get-activities");
      slowest = Math.max(slowest, performance.now() - start);
    } while (!done);
    await attacks;
    assert.ok(slowest < 2000, `bob waited ${slowest} ms`);
  };
  const sessions = await Promise.all(Array.from({ length: 10 }, () => PollingSession.join(server, "alice")));
  const all = (act) => () => Promise.all(sessions.map(act));

  for (const packet of ["3", "6", '42["x"]']) {
    await busy(all((session) => session.send(...new Array(10_000).fill(packet))));
    await Promise.all(sessions.map((session) => session.alive()));
  }
  const [first, second, ...rest] = sessions;
  await first.send(...new Array(10_001).fill("3"));
  await first.gone();
  assert.equal(await reached(server, "max_payload_packets"), 1);
  await second.alive();
  await busy(() => Promise.all([second, ...rest].map((session) => session.send("\x1e".repeat(999_999)))));
  await Promise.all([second, ...rest].map((session) => session.gone()));
  assert.deepEqual(await bob.ask("get-activities"), []);
});

// ---------------------------------------------------------------------------------------------------------------------
// The server ends it

serverTest("SIGTERM answers the GETs that wait, and does not wait for bodies", {}, async (server) => {
  const { held } = await waiting(server);
  const open = await PollingSession.open(server, "bob");
  const alsoHeld = await open.hold();
  const absent = await PollingSession.join(server, "carol");
  const half = absent.begin();
  await server.stop();
  for (const { answer } of [held, alsoHeld]) {
    const { status, body } = await answer;
    assert.equal(status, 200);
    assert.equal(body, "1");
  }
  assert.notEqual((await half.answer).status, 200);
});

serverTest("a new key: the next two GETs of a client that is between two bring 41 and 1", {}, async (server) => {
  const { alice, bob } = await watched(server);
  await server.command("users", "rotate", "alice");
  assert.equal((await bob.next("activity")).state, "OFFLINE");
  const answer = await alice.get().answer;
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "41");
  assert.equal((await alice.get().answer).body, "1");
  await alice.gone();
  assert.equal((await ask(server, { headers: alice.headers })).status, 401);
});

serverTest("a new key: a GET that waits brings 41, and the next one 1", {}, async (server) => {
  const { alice, bob } = await watched(server);
  const held = await alice.hold();
  await server.command("users", "rotate", "alice");
  assert.equal((await bob.next("activity")).state, "OFFLINE");
  assert.equal((await held.answer).body, "41");
  await closed(alice, alice.get(), "1");
});
