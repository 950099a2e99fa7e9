// Socket.IO with the official clients: three generations, each on every transport, against the support server.

import assert from "node:assert/strict";
import { Client, TRANSPORTS, VERSIONS } from "./support/client.mjs";
import { exampleTest } from "./support/example.mjs";
import { PollingSession } from "./support/polling.mjs";

/** Without recovery, which gives each event one more argument. */
const supportTest = (name, body) => exampleTest("support-server", name, { RECOVERY: "0" }, body);

const DATE = "1995-12-04T00:00:00.000Z";
/** What the server sends as attachments in every place. */
const BINARIES = {
  one: Buffer.from([0, 1, 254, 255]),
  list: [Buffer.alloc(0), Buffer.alloc(70_000, 7)],
  nested: { deep: [null, Buffer.from([4])] },
  none: null,
};
const ENOUGH = 1000;

for (const [version, connect] of Object.entries(VERSIONS)) {
  for (const [on, transports] of Object.entries(TRANSPORTS)) {
    const isV2 = version === "2";
    const clientTest = (name, body) => {
      const open = (program) => (namespace, options) => Client.open(program, namespace, { connect, transports, ...options });
      supportTest(`${version}, ${on}: ${name}`, (program) => body(open(program), program));
    };
    const enter = async (open, namespace = "/", options) => open(namespace, options).connected();
    /** The last of the transports. */
    const settled = async (client) => {
      if (transports.length === 2) await client.upgraded();
      assert.equal(client.transport, transports.at(-1));
    };
    /** Why a client was refused: what its listener gets. Version 2 is told the message or the data alone. */
    const refusal = async (client) => {
      const { event, args } = await client.oneOf(["connect", "error", "connect_error"]);
      assert.equal(event, isV2 ? "error" : "connect_error");
      assert.equal(client.socket.connected, false);
      const [told] = args;
      return isV2 ? told : { message: told.message, ...(told.data && { data: told.data }) };
    };

    clientTest("events and acks, both ways", async (open) => {
      const client = await enter(open);
      for (const args of [[], [1, "é€😀", null, true, { a: [1, {}] }], [[], "", 0, false, -0.5]]) {
        client.emit("echo", ...args);
        assert.deepEqual(await client.args("echo"), args.map((arg) => JSON.parse(JSON.stringify(arg))));
      }
      assert.equal(await client.ask("echo", "by ack"), "by ack");
      assert.equal(await client.ask("empty ack"), undefined);
      assert.equal(await client.ask("getAckDate", new Date()), DATE);
      client.emit("getDate");
      assert.equal(await client.next("takeDate"), DATE);
      client.emit("getDateObj");
      assert.deepEqual(await client.next("takeDateObj"), { date: DATE });
      client.emit("getUtf8");
      for (const text of ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]) assert.equal(await client.next("takeUtf8"), text);
      client.emit("getValues");
      assert.deepEqual(await client.args("takeValues"), [false, null, 0, "", { a: [1, { b: null }] }]);
      // The server asks.
      client.socket.once("question", (text, bytes, answer) => answer(text, bytes, { fine: true }));
      client.emit("ask", 5000);
      assert.deepEqual(await client.args("answered"), ["how are you?", Buffer.from("?"), { fine: true }]);
      client.emit("ask", 20);
      assert.match(await client.next("unanswered"), /elapsed/);
      // Many at once, each with its own answer.
      const numbers = Array.from({ length: 50 }, (_, n) => n);
      assert.deepEqual(await Promise.all(numbers.map((n) => client.ask("echo", n))), numbers);
      if (client.socket.timeout) {
        await assert.rejects(client.socket.timeout(20).emitWithAck("nobody answers this"), /timed out/);
        const [error] = await new Promise((resolve) => client.socket.timeout(20).emit("nor this", (...args) => resolve(args)));
        assert.match(error.message, /timed out/);
        assert.deepEqual(await new Promise((resolve) => client.socket.timeout(5000).emit("echo", 1, (...args) => resolve(args))), [null, 1]);
        assert.equal(await client.socket.emitWithAck("echo", 2), 2);
      }
    });

    clientTest("binary, both ways, in every place", async (open) => {
      const client = await enter(open, "/foo");
      const last = [1, Buffer.from("last")];
      for (let round = 0; round < 2; round += 1) {
        client.emit("getBinary");
        assert.deepEqual(await client.args("takeBinary"), [BINARIES, ...last]);
        assert.deepEqual(await new Promise((resolve) => client.emit("getAckBinary", (...args) => resolve(args))), [BINARIES, ...last]);
        assert.equal(await client.ask("checkBinary", BINARIES), true);
        assert.equal(await client.ask("checkBinary", { ...BINARIES, none: Buffer.alloc(0) }), false);
        for (const args of [[Buffer.alloc(0)], [[[Buffer.from([1])]], "text", { a: { b: Buffer.from([2]) } }], [Uint8Array.of(3), Uint8Array.of(4).buffer]]) {
          client.emit("echo", ...args);
          const back = await client.args("echo");
          assert.deepEqual(plain(back), plain(args));
        }
        assert.deepEqual(await client.ask("echo", { ack: [Buffer.from("in an ack")] }), { ack: [Buffer.from("in an ack")] });
        await settled(client);
      }
    });

    clientTest("namespaces: several on one connection, left, joined again, unknown", async (open) => {
      const main = await enter(open);
      const [foo, asd, unknown, silent] = ["/foo", "/asd", "/unknown", "/timeout"].map((namespace) => main.beside(namespace));
      await Promise.all([foo.connected(), asd.connected()]);
      assert.deepEqual(await refusal(unknown), { message: "Invalid namespace" });
      assert.deepEqual(await Promise.all([main, foo, asd].map((client, n) => client.ask("echo", n))), [0, 1, 2]);
      if (!isV2) assert.equal(new Set([main, foo, asd].map(({ socket }) => socket.id).concat(main.socket.io.engine.id)).size, 4);
      for (let round = 0; round < 3; round += 1) {
        const before = foo.socket.id;
        await foo.leave();
        assert.equal(await asd.ask("echo", "still here"), "still here");
        foo.socket.connect();
        await foo.connected();
        if (!isV2) assert.notEqual(foo.socket.id, before);
        assert.equal(await foo.ask("echo", "back"), "back");
      }
      await main.leave();
      assert.equal(await foo.ask("echo", "without the main one"), "without the main one");
      assert.equal(foo.socket.io.engine.readyState, "open");
      assert.equal(silent.socket.connected, false);
      assert.deepEqual([foo, asd].flatMap((client) => client.all("disconnect")).filter((reason) => reason !== "io client disconnect"), []);
    });

    clientTest("refused, with a message, with data", async (open) => {
      const refused = open("/", { query: { fail: "because" } });
      const data = { why: "because" };
      assert.deepEqual(await refusal(refused), isV2 ? data : { message: "Auth failed (main namespace)", data });
      const main = await enter(open);
      const no = main.beside("/no");
      assert.deepEqual(await refusal(no), isV2 ? "Auth failed (custom namespace)" : { message: "Auth failed (custom namespace)" });
      no.socket.disconnect();
      no.socket.connect();
      assert.deepEqual(await refusal(no), isV2 ? "Auth failed (custom namespace)" : { message: "Auth failed (custom namespace)" });
      assert.equal(await main.ask("echo", 1), 1);
    });

    clientTest("an auth payload, as an object and from a function; the query of version 2", async (open) => {
      const main = await enter(open, "/", isV2 ? {} : { auth: { name: "é" } });
      assert.deepEqual((await main.ask("getHandshake")).auth, isV2 ? {} : { name: "é" });
      const kinds = isV2 ? [{ query: { token: "secret" } }, { query: "token=secret" }] : [{ auth: { token: "secret" } }, { auth: (put) => setImmediate(put, { token: "secret" }) }];
      for (const options of kinds) {
        const inside = await (await enter(open)).beside("/token", options).connected();
        assert.deepEqual((await inside.ask("getHandshake")).auth, { token: "secret" });
      }
      const outside = main.beside("/token", isV2 ? { query: { token: "wrong" } } : { auth: { token: "wrong" } });
      assert.deepEqual(await refusal(outside), isV2 ? "Wrong token" : { message: "Wrong token" });
      // With the right one it is let in after all.
      if (isV2) outside.socket.query = { token: "secret" };
      else outside.socket.auth = { token: "secret" };
      outside.socket.disconnect();
      outside.socket.connect();
      await outside.connected();
    });

    clientTest(`${ENOUGH} events and more, binary among them, keep their order${transports.length === 2 ? " across the upgrade" : ""}`, async (open) => {
      const client = open("/");
      const binary = (n) => n % 7 === 3;
      let sent = 0;
      const send = (count) => {
        for (const end = sent + count; sent < end; sent += 1) client.emit("echo", sent, binary(sent) ? { at: [Buffer.from([sent % 256]), "é", Buffer.alloc(sent % 5)] } : "text");
      };
      // From the moment in which it may, a few at a time, so that some are under way in each phase.
      await new Promise((resolve) => client.socket.once("connect", resolve));
      while (sent < ENOUGH || client.transport !== transports.at(-1)) {
        send(10);
        await new Promise(setImmediate);
      }
      for (let n = 0; n < sent; n += 1) {
        const [number, rest] = await client.args("echo");
        assert.equal(number, n);
        assert.deepEqual(rest, binary(n) ? { at: [Buffer.from([n % 256]), "é", Buffer.alloc(n % 5)] } : "text");
      }
    });

    clientTest("volatile: it comes when the client is ready, and of two in a row one at most", async (open) => {
      const client = await enter(open);
      let came = 0;
      for (let round = 0; came === 0 || round < 5; round += 1) {
        assert.ok(round < 500, "none came");
        await client.ask("volatile", round);
        const fleeting = client.all("fleeting");
        assert.deepEqual(fleeting, fleeting.length === 0 ? [] : [round]);
        came += fleeting.length;
      }
      if (client.transport === "websocket") {
        await client.ask("volatile", "ready");
        assert.deepEqual(client.all("fleeting"), ["ready"]);
      }
    });

    clientTest("it comes back, into each namespace, after the server has closed the connection", async (open) => {
      const foo = await enter(open, "/foo");
      const asd = await foo.beside("/asd").connected();
      for (let round = 0; round < 2; round += 1) {
        const [before, engine] = [foo.socket.id, foo.socket.io.engine.id];
        await settled(foo);
        // No packet of Socket.IO.
        foo.socket.io.engine.write("nonsense");
        for (const client of [foo, asd]) assert.match(await client.next("disconnect"), /^transport (close|error)$/);
        // What is said meanwhile is said once.
        foo.emit("echo", "meanwhile");
        await Promise.all([foo.connected(), asd.connected()]);
        assert.notEqual(foo.socket.id, before);
        assert.notEqual(foo.socket.io.engine.id, engine);
        assert.equal(await foo.ask("echo", "back"), "back");
        assert.deepEqual(foo.all("echo"), ["meanwhile"]);
        assert.equal(await asd.ask("echo", "back, too"), "back, too");
      }
    });

    clientTest("why a socket is gone, as both sides see it", async (open, program) => {
      const witness = await Client.open(program, "/foo", { transports: ["websocket"] }).connected();
      const isPolling = transports.at(-1) === "polling";
      const ends = [
        ["the client leaves", ({ socket }) => socket.disconnect(), /^io client disconnect$/, "client namespace disconnect"],
        ["the server ends the socket", (client) => client.emit("requestDisconnect"), /^io server disconnect$/, "server namespace disconnect"],
        ["the server ends the session", (client) => client.emit("requestClose"), /^io server disconnect$/, "forced server close"],
        ["the client closes the connection", ({ socket }) => socket.io.engine.close(), /^forced close$/, isPolling ? "client closed" : "transport close"],
        ["a packet that is none", ({ socket }) => socket.io.engine.write("nonsense"), /^transport (close|error)$/, "parse error"],
        ...(isPolling ? [] : [["the connection breaks", ({ socket }) => socket.io.engine.transport.ws.terminate(), /^transport (close|error)$/, "transport close"]]),
      ];
      for (const [what, end, here, there] of ends) {
        const main = await enter(open, "/", { reconnection: false });
        const foo = await main.beside("/foo").connected();
        await settled(foo);
        assert.deepEqual(await foo.ask("join", "room"), ["room"]);
        end(foo);
        assert.match(await foo.next("disconnect"), here, what);
        assert.equal(foo.all("last word").length, there === "forced server close" ? 1 : 0, what);
        const [id, reason, rooms] = await witness.args("gone");
        assert.deepEqual([reason, rooms], [there, ["room"]], what);
        if (!isV2) assert.match(id, /^[\w-]{20}$/);
        // One namespace is left, or all of them.
        if (/namespace/.test(there)) assert.equal(await main.ask("echo", what), what);
        else assert.match(await main.next("disconnect"), here, what);
      }
    });

    clientTest("who is sent away from one namespace stays in the others, and comes back when it wants to", async (open) => {
      const main = await enter(open);
      const foo = await main.beside("/foo").connected();
      foo.emit("requestDisconnect");
      // Nobody hears this.
      foo.emit("echo", "late");
      assert.equal(await foo.next("disconnect"), "io server disconnect");
      assert.equal(await main.ask("echo", 1), 1);
      assert.equal(foo.socket.connected, false);
      foo.socket.connect();
      await foo.connected();
      assert.equal(await foo.ask("echo", 2), 2);
      assert.deepEqual(foo.all("echo"), []);
      assert.deepEqual(main.all("disconnect"), []);
    });

    clientTest("rooms, and who is left out", async (open) => {
      const clients = await Promise.all(["/foo", "/foo", "/foo"].map((namespace) => enter(open, namespace)));
      const [ann, ben, cem] = clients;
      const elsewhere = await enter(open, "/asd");
      assert.deepEqual(await elsewhere.ask("join", "red"), ["red"]);
      assert.deepEqual(await ann.ask("join", "red"), ["red"]);
      assert.deepEqual(await ben.ask("join", "red"), ["red"]);
      assert.deepEqual(await ben.ask("join", "red"), ["red"]);
      assert.deepEqual(await ben.ask("join", "blue"), ["blue", "red"]);
      const tell = async (choice, ...expected) => {
        const text = JSON.stringify(choice);
        assert.equal(await ben.ask("tell", choice, text), expected.length, text);
        for (const client of expected) assert.equal(await client.next("told"), text);
        // Whoever else was told has heard it before the answer to this.
        for (const client of [...clients, elsewhere]) {
          await client.ask("echo");
          assert.deepEqual(client.all("told"), [], text);
        }
      };
      await tell({}, ann, cem);
      await tell({ everyone: true }, ann, ben, cem);
      await tell({ to: ["red"] }, ann);
      await tell({ to: ["red", "blue"], everyone: true }, ann, ben);
      await tell({ except: ["red"], everyone: true }, cem);
      await tell({ to: ["red"], except: ["blue"], everyone: true }, ann);
      await tell({ to: ["nobody"] });
      if (!isV2) {
        await tell({ to: [cem.socket.id] }, cem);
        await tell({ except: [cem.socket.id] }, ann);
      }
      assert.deepEqual(await ann.ask("leave", "red"), []);
      await tell({ to: ["red"] });
      clients.pop();
      await cem.leave();
      await ann.next("gone");
      await tell({}, ann);
    });

    clientTest("the handshake is the first request's, whatever the transport becomes", async (open) => {
      const client = await enter(open, "/foo", { query: { who: "é&=" }, extraHeaders: { "X-Suite": "yes" }, ...(isV2 ? {} : { auth: { a: 1 } }) });
      const first = await client.ask("getHandshake");
      assert.equal(first.query.who, "é&=");
      assert.equal(first.query.transport, transports[0]);
      assert.equal(first.query.EIO, isV2 ? "3" : "4");
      assert.equal(first.headers["x-suite"], "yes");
      assert.match(first.headers.host, /^127\.0\.0\.1:\d+$/);
      assert.match(first.url, /^\/socket\.io\/\?/);
      assert.equal(first.address, "127.0.0.1");
      assert.ok(Math.abs(new Date(first.time) - Date.now()) < 60_000, first.time);
      assert.equal(new Date(first.time).getTime(), first.issued);
      assert.deepEqual([first.secure, first.xdomain], [false, false]);
      await settled(client);
      assert.deepEqual(await client.ask("getHandshake"), first);
      const beside = await client.beside("/asd", {}).connected();
      assert.deepEqual({ ...(await beside.ask("getHandshake")), auth: first.auth }, first);
    });
  }
}

/** With all that holds bytes as arrays. */
function plain(value) {
  if (value instanceof ArrayBuffer) return [...new Uint8Array(value)];
  if (ArrayBuffer.isView(value)) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  return value !== null && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)])) : value;
}

supportTest("volatile: nothing of it waits for a client that does not poll", async (program) => {
  const session = await PollingSession.open(program, null);
  await session.send("40");
  assert.match(await session.packet(), /^40\{/);
  await session.send('420["volatile","lost"]', '421["echo",1]');
  assert.equal(await session.packet(), "430[]");
  assert.equal(await session.packet(), "431[1]");
  // A GET waits.
  const held = await session.hold();
  await session.send('422["volatile","caught"]');
  const first = (await held.answer).body;
  assert.match(first, /^42\["fleeting","caught",1\](\x1e432\[\])?$/);
  if (!first.endsWith("432[]")) assert.equal(await session.packet(), "432[]");
});

supportTest("4: who goes before it was let in, and comes again, is let in", async (program) => {
  const main = await Client.open(program, "/", { transports: ["websocket"] }).connected();
  const foo = main.beside("/foo");
  // As a page does it whose parts are mounted twice.
  foo.socket.disconnect();
  foo.socket.connect();
  await foo.connected();
  // The second CONNECT costs the connection, and what was said on it; the client repeats neither, but comes back.
  for (const client of [foo, main]) assert.equal(await client.ask("echo", 1).catch(() => client.ask("echo", 1)), 1);
});

for (const [on, transports] of Object.entries(TRANSPORTS)) {
  exampleTest("support-server", `4, ${on}: connection state recovery`, {}, async (program) => {
    const options = { transports, reconnectionDelay: 200, reconnectionDelayMax: 200, randomizationFactor: 0 };
    const ann = await Client.open(program, "/", options).connected();
    const ben = await Client.open(program, "/", options).connected();
    assert.equal(ann.socket.recovered, false);
    if (transports.length === 2) await ann.upgraded();
    await ann.ask("join", "red");
    ann.emit("echo", "the first event, whose offset is remembered");
    assert.equal((await ann.args("echo")).length, 2);
    for (let round = 0; round < 3; round += 1) {
      const before = ann.socket.id;
      ann.socket.io.engine.close();
      await ann.next("disconnect");
      // Ben hears of it when the server knows.
      assert.equal((await ben.args("gone"))[0], before);
      await ben.ask("tell", { to: ["red"] }, `red ${round}`);
      await ben.ask("tell", { to: ["blue"] }, `blue ${round}`);
      await ben.ask("tell", { everyone: true }, `all ${round}`);
      await ann.next("connect");
      assert.equal(ann.socket.recovered, true);
      assert.equal(ann.socket.id, before);
      assert.equal(await ann.next("told"), `red ${round}`);
      assert.equal(await ann.next("told"), `all ${round}`);
      if (transports.length === 2) await ann.upgraded();
    }
    // Who leaves does not come back as the same.
    const before = ann.socket.id;
    ann.socket.disconnect();
    ann.socket.connect();
    await ann.next("connect");
    assert.equal(ann.socket.recovered, false);
    assert.notEqual(ann.socket.id, before);
    assert.deepEqual(ann.all("told"), []);
  });
}
