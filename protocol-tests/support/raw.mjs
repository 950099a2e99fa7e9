// Below the official client: HTTP requests written by hand, and WebSockets that speak packets as text.

import net from "node:net";
import WebSocket from "ws";
import { bare } from "./activity.mjs";
import { Inbox, within, DEADLINE_MS } from "./wait.mjs";

export const GATEWAY = "/socket.io/?EIO=4&transport=websocket";

/** A WebSocket handshake as RFC 6455 wants it. A header set to `null` is left out, one set to an array comes that often. */
export function upgradeRequest({ method = "GET", path = GATEWAY, headers = {} } = {}) {
  return httpRequest({
    method,
    path,
    headers: {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    },
  });
}

export function httpRequest({ method = "GET", path = "/", headers = {}, body = "" } = {}) {
  const all = { Host: "localhost", Connection: "close", ...headers };
  if (body !== "" || method === "POST" || method === "PUT") all["Content-Length"] = Buffer.byteLength(body);
  const lines = Object.entries(all).filter(([, value]) => value !== null).flatMap(([name, values]) => [values].flat().map((value) => `${name}: ${value}`));
  return `${method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** Sends bytes on a connection of their own and reads one answer. `rest` is what followed the head of a 101, after `enough(rest)`. */
export async function exchange(server, bytes, enough = () => true) {
  const socket = net.connect(server.port, "127.0.0.1");
  try {
    return await within(DEADLINE_MS, "an HTTP answer", new Promise((resolve, reject) => {
      let received = Buffer.alloc(0);
      let ended = false;
      const look = () => {
        const answer = parseAnswer(received, ended);
        if (answer && (answer.status !== 101 || enough(answer.rest))) resolve(answer);
        else if (ended) reject(new Error(`the connection ended after ${JSON.stringify(received.toString("latin1"))}`));
      };
      socket.on("data", (data) => {
        received = Buffer.concat([received, data]);
        look();
      });
      socket.on("end", () => {
        ended = true;
        look();
      });
      socket.on("error", reject);
      socket.write(bytes);
    }));
  } finally {
    socket.destroy();
  }
}

function parseAnswer(received, ended) {
  const end = received.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [first, ...lines] = received.subarray(0, end).toString("latin1").split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]);
  const headers = {};
  for (const line of lines) {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line);
    headers[name.toLowerCase()] = value;
  }
  const rest = received.subarray(end + 4);
  if (status === 101) return { status, headers, rest };
  const length = headers["content-length"];
  if (length === undefined ? !ended : rest.length < Number(length)) return undefined;
  return { status, headers, body: rest.toString("utf8") };
}

/** A WebSocket session without the official client. Frames and the close are in the inbox, in the order in which they came. */
export class RawSession {
  #inbox = new Inbox();

  constructor(server, name, { path = GATEWAY, headers = {} } = {}) {
    const key = name === null ? {} : { "X-Api-Key": server.key(name) };
    this.ws = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, {
      headers: { ...key, ...headers },
      perMessageDeflate: false,
      // Ours to keep: some tests write beneath the WebSocket.
      createConnection: (options) => (this.socket = net.connect(options)),
    });
    this.ws.on("message", (data, isBinary) => this.#inbox.put({ frame: isBinary ? data : data.toString("utf8") }));
    this.ws.on("close", (code, reason) => this.#inbox.put({ close: code, reason: reason.toString() }));
    server.adopt(() => this.destroy());
    // A broken connection ends in `close` as well, with 1006.
    this.ws.on("error", () => {});
  }

  /** Opens a session and checks the first packet. */
  static async open(server, name, options) {
    const session = new RawSession(server, name, options);
    const first = await session.frame();
    if (first?.[0] !== "0") throw new Error(`the first frame was ${JSON.stringify(first)}`);
    session.handshake = JSON.parse(first.slice(1));
    return session;
  }

  /** Opens a session and joins the main namespace. */
  static async join(server, name, options) {
    const session = await RawSession.open(server, name, options);
    session.send("40");
    session.sid = JSON.parse((await session.frame()).slice(2)).sid;
    session.activities = bare(JSON.parse((await session.frame()).slice(2))[1]);
    return session;
  }

  send(packet, options) {
    this.ws.send(packet, options);
  }

  /** The next frame; the close is an error. */
  async frame() {
    const item = await this.#inbox.take("a frame");
    if ("close" in item) throw new Error(`closed with ${item.close} instead of a frame`);
    return item.frame;
  }

  /** The code of the close, which must be the next thing to come. */
  async closed() {
    const item = await this.#inbox.take("the close");
    if (!("close" in item)) throw new Error(`${JSON.stringify(item.frame).slice(0, 500)} instead of the close`);
    return item.close;
  }

  /** The code of the close, whatever came before it. */
  async closedAtLast(milliseconds = DEADLINE_MS) {
    return (await this.#inbox.take("the close", (item) => "close" in item, milliseconds)).close;
  }

  /** What came and nobody has asked for. */
  unread() {
    return this.#inbox.takeAll();
  }

  destroy() {
    this.socket?.destroy();
  }

  /** Takes leave: DISCONNECT, and the close of the connection. */
  async leave() {
    this.send("41");
    this.ws.close();
    await this.closedAtLast();
  }
}
