// The packet tables against the official parsers: what they decode and refuse, and what they write back.
// A row that carries a `reference` mark says where they differ from ours; a mark that is not true fails.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as engine from "engine.io-parser";
import { Decoder, Encoder, PacketType } from "socket.io-parser";
import { followers, load, text, title } from "./support/fixtures.mjs";

const ENGINE_TYPES = new Set(["open", "close", "ping", "pong", "message", "upgrade", "noop"]);

/** The packet that a good row describes, in the shape of engine.io-parser. */
function enginePacket({ type, data, binary }) {
  if (binary !== undefined) return { type, data: Buffer.from(binary, "base64") };
  return data === undefined ? { type } : { type, data };
}

function engineEncode(packet) {
  let wire;
  engine.encodePacket(packet, false, (encoded) => (wire = encoded));
  return wire;
}

function checkShape(rows) {
  const seen = new Set();
  for (const row of rows) {
    const where = title(row.wire);
    const key = JSON.stringify([row.wire, row.attachments]);
    assert.ok(!seen.has(key), `${where} stands twice`);
    seen.add(key);
    assert.notEqual("packet" in row, "error" in row, `${where}: either a packet or an error`);
    if ("error" in row) assert.match(row.error, /\w+ \w+/, `${where}: the error in words`);
    assert.equal("reference" in row, "why" in row, `${where}: a mark and its reason go together`);
    if ("error" in row) assert.ok([undefined, "accepts"].includes(row.reference), `${where}: ${row.reference}`);
    else assert.ok([undefined, "rejects", "differs"].includes(row.reference), `${where}: ${row.reference}`);
    assert.equal(row.reference === "differs", "reference_encodes" in row, `${where}: differs needs reference_encodes`);
  }
}

test("engineio-packets.json against engine.io-parser", async (t) => {
  const rows = load("engineio-packets.json");
  checkShape(rows);

  for (const row of rows) {
    await t.test(title(row.wire), () => {
      const wire = text(row.wire);
      const decoded = engine.decodePacket(wire);
      const referenceAccepts = decoded.type !== "error";

      if ("error" in row) {
        assert.equal(referenceAccepts, row.reference === "accepts", `the official parser says ${JSON.stringify(decoded)}`);
        return;
      }
      assert.ok(ENGINE_TYPES.has(row.packet.type));
      assert.equal(referenceAccepts, row.reference !== "rejects");
      if (!referenceAccepts) return;
      const { reference_encodes: theirs, encodes: ours = wire } = row;
      if (row.reference === "differs") {
        assert.equal(decoded.type, row.packet.type);
        assert.notEqual(theirs, ours, "it does not differ");
      } else {
        assert.deepEqual(decoded, enginePacket(row.packet));
      }
      assert.equal(engineEncode(decoded), theirs ?? ours);
    });
  }

  await t.test("all good rows in one polling payload", () => {
    const good = rows.filter((row) => row.packet && !row.websocket_only && !row.reference);
    const payload = good.map((row) => text(row.wire)).join("\x1e");
    const packets = good.map((row) => enginePacket(row.packet));
    assert.deepEqual(engine.decodePayload(payload), packets);
    engine.encodePayload(packets, (encoded) => assert.equal(encoded, payload));
  });

  await t.test("a bad row ends a polling payload", () => {
    for (const row of rows.filter((row) => row.error && !row.websocket_only && !row.reference)) {
      const types = engine.decodePayload(`4a\x1e${text(row.wire)}\x1e4b`).map((packet) => packet.type);
      assert.deepEqual(types, ["message", "error"], title(row.wire));
    }
  });
});

/** What the official decoder makes of a packet and its attachments: the packet, `undefined` while it waits for more, or it throws. */
function socketDecode(wire, attachments = []) {
  const decoder = new Decoder();
  let packet;
  decoder.on("decoded", (decoded) => (packet = decoded));
  decoder.add(wire);
  for (const attachment of attachments) decoder.add(attachment);
  return packet;
}

/** What the official decoder must make of a good row: JSON parsed, placeholders filled in, binary types told apart no more. */
function socketPacket(packet, attachments) {
  const fill = (value) => {
    if (value === null || typeof value !== "object") return value;
    if (value._placeholder === true) return attachments[value.num];
    if (Array.isArray(value)) return value.map(fill);
    for (const name of Object.keys(value)) {
      Object.defineProperty(value, name, { value: fill(value[name]) });
    }
    return value;
  };
  const expected = { type: PacketType[packet.type.replace("BINARY_", "")], nsp: packet.nsp };
  if (packet.id !== undefined) expected.id = packet.id;
  if (packet.data !== undefined) {
    const data = JSON.parse(text(packet.data));
    expected.data = packet.attachments ? fill(data) : data;
  }
  return expected;
}

test("socketio-packets.json against socket.io-parser", async (t) => {
  const rows = load("socketio-packets.json");
  checkShape(rows);

  for (const row of rows) {
    await t.test(title(row.wire), () => {
      const wire = text(row.wire);

      if ("error" in row) {
        if (row.reference === "accepts") assert.doesNotThrow(() => socketDecode(wire));
        else assert.throws(() => socketDecode(wire), /invalid payload|unknown packet type|attachments/i);
        return;
      }

      const { packet } = row;
      assert.equal(packet.attachments !== undefined, packet.type.startsWith("BINARY_"));
      if (row.encodes !== undefined) assert.notEqual(text(row.encodes), wire, "encodes says nothing new");
      if (row.reference === "rejects") {
        assert.throws(() => socketDecode(wire));
        return;
      }

      const attachments = followers(row);
      if (row.reassembly) {
        assert.match(row.reassembly.error, /\w+ \w+/);
        assert.equal("reference" in row.reassembly, "why" in row.reassembly);
        if (row.reassembly.reference === "accepts") assert.doesNotThrow(() => socketDecode(wire, attachments));
        else assert.throws(() => socketDecode(wire, attachments), /illegal attachments|when (not )?reconstructing a packet/);
        return;
      }

      if (attachments.length > 0) assert.equal(socketDecode(wire, attachments.slice(1)), undefined, "it does not wait for all of them");
      const decoded = socketDecode(wire, attachments);
      if (row.reference_encodes === null) return;
      assert.deepEqual(decoded, socketPacket(packet, attachments));

      const [header] = new Encoder().encode(decoded);
      const ours = row.encodes === undefined ? wire : text(row.encodes);
      if (row.reference === "differs") assert.notEqual(row.reference_encodes, ours, "it does not differ");
      assert.equal(header, row.reference_encodes ?? ours);
    });
  }
});

test("the official decoder and attachments that nobody announced, or that do not come", () => {
  const decoder = new Decoder();
  assert.throws(() => decoder.add(Buffer.from([1])), /not reconstructing/);
  decoder.add('51-["message",{"_placeholder":true,"num":0}]');
  assert.throws(() => decoder.add('2["message"]'), /plaintext data when reconstructing/);
});
