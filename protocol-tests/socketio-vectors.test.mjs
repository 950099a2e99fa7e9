// Every packet of the Socket.IO table against the conformance program, on a WebSocket of its own: what is good comes back exactly, attachments
// included, or changes nothing; what is not closes the connection.

import assert from "node:assert/strict";
import { exampleTest } from "./support/example.mjs";
import { followers, load, text, title } from "./support/fixtures.mjs";
import { RawSession } from "./support/raw.mjs";

const NO_STATUS = 1005;
const ROWS = load("socketio-packets.json");
/** No heartbeat gets in the way. */
const CALM = { PING_INTERVAL: "25000", PING_TIMEOUT: "20000" };
/** The events that are sent back have this name, however it is written. */
const MESSAGE = /^\["(?:m|\\u006d)essage"/;

const open = (program) => RawSession.open(program, null);

/** A session in a namespace; the program says what it was told in `auth`. */
async function join(program) {
  const session = await open(program);
  session.send("40");
  assert.match(await session.frame(), /^40\{"sid":"[\w-]{20}"\}$/);
  assert.equal(await session.frame(), '42["auth",{}]');
  return session;
}

function play(session, row) {
  session.send(`4${text(row.wire)}`);
  if (row.packet) for (const item of followers(row)) session.send(typeof item === "string" ? `4${item}` : item);
}

/** It goes on, and nothing has come that was not asked for. */
async function alive(session) {
  session.send('42["message","alive"]');
  assert.equal(await session.frame(), '42["message-back","alive"]');
}

/** What has to come back for an event in the main namespace: the frames. */
function echo(row) {
  const { packet } = row;
  const data = text(packet.data);
  if (!MESSAGE.test(data)) return [];
  const attachments = followers(row);
  const type = attachments.length > 0 ? `45${attachments.length}-` : "42";
  return [`${type}${data.replace(MESSAGE, '["message-back"')}`, ...attachments];
}

/** A row of the table, by the kind of packet that it is. */
const PLAY = {
  async CONNECT(program, { wire, packet, closes }) {
    const session = await open(program);
    session.send(`4${text(wire)}`);
    if (closes) return assert.equal(await session.closed(), NO_STATUS);
    const head = packet.nsp === "/" ? "" : `${packet.nsp},`;
    if (packet.nsp === "/" || packet.nsp === "/custom") {
      const answer = await session.frame();
      assert.match(answer.slice(`40${head}`.length), /^\{"sid":"[\w-]{20}"\}$/, answer);
      assert.equal(await session.frame(), `42${head}["auth",${text(packet.data ?? "{}")}]`);
    } else {
      assert.equal(await session.frame(), `44${head}{"message":"Invalid namespace"}`);
    }
    if (packet.nsp !== "/") {
      session.send("40");
      assert.match(await session.frame(), /^40\{"sid":/);
      await session.frame();
    }
    await alive(session);
    session.destroy();
  },
  async DISCONNECT(program, row) {
    const session = await join(program);
    play(session, row);
    session.send("40");
    assert.match(await session.frame(), /^40\{"sid":/);
    assert.equal(await session.frame(), '42["auth",{}]');
    await alive(session);
    session.destroy();
  },
  async EVENT(program, row) {
    const session = await join(program);
    play(session, row);
    for (const frame of echo(row)) assert.deepEqual(await session.frame(), frame);
    await alive(session);
    session.destroy();
  },
  async ACK(program, row) {
    const session = await join(program);
    play(session, row);
    await alive(session);
    session.destroy();
  },
};

exampleTest("conformance", "every good row of socketio-packets.json is answered as it should be", CALM, async (program, t) => {
  const isGood = ({ packet, reassembly, closes }) => packet && !reassembly && (packet.type === "CONNECT" || (!closes && packet.nsp === "/"));
  const rows = ROWS.filter(isGood);
  assert.ok(rows.filter((row) => row.packet.type.endsWith("EVENT") && echo(row).length > 0).length > 30);
  assert.ok(rows.filter((row) => row.packet.type.endsWith("EVENT") && echo(row).length > 1).length > 8);
  for (const row of rows) {
    await t.test(`${title(row.wire)}${row.attachments ? ` and ${title(row.attachments)}` : ""}`, () => PLAY[row.packet.type.replace("BINARY_", "")](program, row));
  }
});

exampleTest("conformance", "every other row closes the connection without a status, and nobody else notices", CALM, async (program, t) => {
  const witness = await join(program);
  const isBad = ({ packet, error, reassembly, closes }) => error || reassembly || closes || (packet.nsp !== "/" && packet.type !== "CONNECT");
  for (const row of ROWS.filter(isBad)) {
    await t.test(`${title(row.wire)}${row.attachments ? ` and ${title(row.attachments)}` : ""}`, async () => {
      // A second CONNECT would be closed for another reason.
      const session = await (text(row.wire).startsWith("0") ? open : join)(program);
      play(session, row);
      assert.equal(await session.closed(), NO_STATUS);
    });
  }
  assert.deepEqual(witness.unread(), []);
  await alive(witness);
});

exampleTest("conformance", "every event of the table in one go: all come back, in order, nothing between a packet and its attachments", CALM, async (program) => {
  const rows = ROWS.filter(({ packet, reassembly, closes }) => packet?.type.endsWith("EVENT") && packet.nsp === "/" && !reassembly && !closes);
  const session = await join(program);
  for (const row of rows) play(session, row);
  for (const row of rows) for (const frame of echo(row)) assert.deepEqual(await session.frame(), frame, title(row.wire));
  await alive(session);
});

exampleTest("conformance", "bytes that belong to nothing, and packets in their place", CALM, async (program, t) => {
  const header = '451-["message",{"_placeholder":true,"num":0}]';
  const cases = {
    "bytes before a CONNECT": [open, [Buffer.from([1])]],
    "bytes in a namespace": [join, [Buffer.from([1])]],
    "no bytes at all": [join, [Buffer.alloc(0)]],
    "a header before a CONNECT": [open, [header, Buffer.from([1])]],
    "a header for another namespace": [join, [header.replace("1-", "1-/custom,"), Buffer.from([1])]],
    "a header behind a header": [join, [header, header]],
    "a CONNECT behind a header": [join, [header, "40/custom,"]],
  };
  for (const [name, [begin, messages]] of Object.entries(cases)) {
    await t.test(name, async () => {
      const session = await begin(program);
      for (const message of messages) session.send(message);
      assert.equal(await session.closed(), NO_STATUS);
    });
  }
  // A ping of the server's own does not count, nor does the client's pong.
  const session = await join(program);
  session.send(header);
  session.send("3");
  session.send(Buffer.from([1]));
  assert.equal(await session.frame(), header.replace("message", "message-back"));
  assert.deepEqual(await session.frame(), Buffer.from([1]));
});

exampleTest("conformance", "acks come back with the arguments and the attachments of their events", CALM, async (program) => {
  const session = await join(program);
  session.send('42007["message-with-ack",1,"é€😀",[null]]');
  assert.equal(await session.frame(), '437[1,"é€😀",[null]]');
  session.send('451-/,3["message-with-ack",{"a":[{"_placeholder":true,"num":0}]}]');
  session.send(Buffer.from([0, 255]));
  assert.equal(await session.frame(), '461-3[{"a":[{"_placeholder":true,"num":0}]}]');
  assert.deepEqual(await session.frame(), Buffer.from([0, 255]));
  session.send('428["nothing of that name"]');
  await alive(session);
});
