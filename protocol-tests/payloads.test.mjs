// The table of payloads against the official parsers: engine.io-parser 5 for version 4 of the protocol, 2 for version 3.
// A row that carries a `reference` mark says where they differ from ours; a mark that is not true fails.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as v4 from "engine.io-parser";
import v3 from "engine.io-parser-v3";
import { load, text, title } from "./support/fixtures.mjs";

const TYPES = new Set(["open", "close", "ping", "pong", "message", "upgrade", "noop"]);

/** A body as the parsers get it: a text, or a buffer when its content type says that it is binary. */
function body(value) {
  if (value.binary !== undefined) return Buffer.from(text(value.binary), "hex");
  // Engine.IO reads a text body as UTF-8, and repairs what is none.
  if (value.bytes !== undefined) return Buffer.from(text(value.bytes), "hex").toString();
  return text(value);
}

/** A packet of a row in the shape of the parsers, and back. */
function packetOf({ type, data, binary }) {
  if (binary !== undefined) return { type, data: Buffer.from(binary, "base64") };
  return data === undefined ? { type } : { type, data: text(data) };
}

function described({ type = null, data }) {
  if (Buffer.isBuffer(data)) return { type, binary: data.toString("base64") };
  // Half a surrogate pair has no form in JSON.
  return data === undefined ? { type } : { type, data: Buffer.from(data).toString() };
}

/** What the official parser makes of a body: the packets up to the first error, and whether there was one. */
function read(revision, value) {
  const packets = [];
  let refused = false;
  const take = (packet) => {
    refused ||= packet.type === "error";
    if (!refused) packets.push(described(packet));
    return !refused;
  };
  if (revision === 4) v4.decodePayload(body(value)).forEach(take);
  else v3.decodePayload(body(value), take);
  return { packets, refused };
}

/** What the official parser writes for packets: to a client that takes binary payloads, if `supportsBinary`. */
function write(revision, packets, supportsBinary) {
  let payload;
  const done = (encoded) => (payload = encoded);
  if (revision === 4) v4.encodePayload(packets.map(packetOf), done);
  else v3.encodePayload(packets.map(packetOf), supportsBinary, done);
  return payload;
}

const rows = load("engineio-payloads.json");

test("engineio-payloads.json is as its description says", () => {
  const seen = new Set();
  for (const row of rows) {
    const where = title([row.revision, row.body]);
    const key = JSON.stringify([row.revision, row.body]);
    assert.ok(!seen.has(key), `${where} stands twice`);
    seen.add(key);
    assert.ok([3, 4].includes(row.revision), where);
    assert.ok(row.revision === 3 || row.body.binary === undefined, `${where}: version 4 has no binary payloads`);
    for (const { type } of row.packets) assert.ok(TYPES.has(type), `${where}: ${type}`);
    if ("error" in row) assert.match(row.error, /\w+ \w+/, `${where}: the error in words`);
    assert.ok(!("error" in row && "encodes" in row), `${where}: what is refused is not written`);
    if ("encodes" in row) assert.notDeepEqual(body(row.encodes), body(row.body), `${where}: encodes says nothing new`);
    const marks = ["reference", "why", "reference_packets"].filter((member) => member in row);
    assert.ok([0, 3].includes(marks.length), `${where}: a mark, its reason and what is read go together`);
    assert.ok([undefined, "differs", ...("error" in row ? ["accepts"] : [])].includes(row.reference), `${where}: ${row.reference}`);
  }
});

test("engineio-payloads.json against engine.io-parser", async (t) => {
  for (const row of rows) {
    await t.test(title([row.revision, row.body]), () => {
      const { packets, refused } = read(row.revision, row.body);
      assert.equal(refused, "error" in row && row.reference !== "accepts", "is it refused?");
      assert.deepEqual(packets, row.reference_packets ?? row.packets.map(packetOf).map(described));
      if (row.reference === "differs") assert.notDeepEqual(packets, row.packets, "it does not differ");

      if ("error" in row) return;
      const supportsBinary = row.body.binary !== undefined;
      assert.deepEqual(write(row.revision, row.packets, supportsBinary), body(row.encodes ?? row.body));
    });
  }
});

test("the official parsers read both forms of version 3 alike", () => {
  for (const row of rows.filter((row) => row.revision === 3 && !row.error && row.packets.length > 0)) {
    for (const supportsBinary of [false, true]) {
      const written = write(3, row.packets, supportsBinary);
      const value = Buffer.isBuffer(written) ? { binary: written.toString("hex") } : written;
      assert.deepEqual(read(3, value), { packets: row.packets.map(packetOf).map(described), refused: false });
    }
  }
});
