// The tables in ../fixtures, and how their shorthand is read (fixtures/README.md says what it means).

import fs from "node:fs";

export function load(name) {
  return JSON.parse(fs.readFileSync(new URL(`../../fixtures/${name}`, import.meta.url), "utf8"));
}

/** A text, or `{"repeat": ["a", "[", 500, "b"]}`: strings in a row, a number says how often the string before it stands. */
export function text(value) {
  if (typeof value === "string") return value;
  const parts = [];
  for (const part of value.repeat) {
    if (typeof part === "string") parts.push(part);
    else parts.push(parts.pop().repeat(part));
  }
  return parts.join("");
}

/** The messages that follow a packet of the Socket.IO table, those that it announces if the row says nothing else: bytes, or a text. */
export function followers({ packet, attachments }) {
  if (attachments === undefined) return Array.from({ length: packet.attachments ?? 0 }, (_, i) => Buffer.from([i, 0xff]));
  return attachments.map((item) => (typeof item === "string" ? Buffer.from(item, "base64") : item.text));
}

/** A name for a test: the wire, printable and not too long. */
export function title(value) {
  const shown = JSON.stringify(value);
  return shown.length > 100 ? `${shown.slice(0, 97)}...` : shown;
}

/** The Socket.IO packet in an Engine.IO message: what stands before the JSON, and the JSON. */
function split(frame) {
  const [head] = /^4\d(?:\d+-)?(?:\/[^,]*,?)?\d*/.exec(frame) ?? [frame];
  const json = frame.slice(head.length);
  return { head, data: json === "" ? undefined : JSON.parse(json) };
}

/** Does `frame` say what `pattern` says? In a pattern the JSON string "*" is any string and "#" any whole number; the order of members is free. */
export function frameMatches(pattern, frame) {
  const expected = split(pattern);
  let actual;
  try {
    actual = split(frame);
  } catch {
    return false;
  }
  return expected.head === actual.head && matches(expected.data, actual.data);
}

export function matches(pattern, value) {
  if (pattern === "*") return typeof value === "string";
  if (pattern === "#") return Number.isSafeInteger(value);
  if (Array.isArray(pattern)) {
    return Array.isArray(value) && pattern.length === value.length && pattern.every((p, i) => matches(p, value[i]));
  }
  if (pattern !== null && typeof pattern === "object") {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
    const names = Object.keys(pattern);
    return names.length === Object.keys(value).length && names.every((name) => Object.hasOwn(value, name) && matches(pattern[name], value[name]));
  }
  return Object.is(pattern, value);
}
