// Long-polling without the official client: every request is made by hand, and the test says when.

import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import { bare } from "./activity.mjs";
import { DEADLINE_MS, within } from "./wait.mjs";
import { RawSession } from "./raw.mjs";

export const POLLING = "/socket.io/?EIO=4&transport=polling";
export const UNKNOWN = { code: 1, message: "Session ID unknown" };
export const BAD_REQUEST = { code: 3, message: "Bad request" };

/** A request that is under way: `answer` is `{status, headers, body, bytes, port}`, `body` being the bytes as text, `port` the client's end. */
function start(server, { method = "GET", path = POLLING, headers = {}, body, chunks, agent = false, milliseconds = DEADLINE_MS } = {}) {
  const connection = agent ? {} : { Connection: "close" };
  const length = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) };
  const request = http.request({ host: "127.0.0.1", port: server.port, method, path, agent, headers: { ...connection, ...length, ...headers } });
  server.adopt(() => request.destroy());
  const answered = new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", (response) => {
      const port = response.socket.localPort;
      const received = [];
      response.on("data", (data) => received.push(data));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(received);
        resolve({ status: response.statusCode, headers: response.headers, body: bytes.toString("utf8"), bytes, port });
      });
    });
  });
  const answer = within(milliseconds, `the answer to ${method} ${path.slice(0, 200)}`, answered);
  // Who is interested awaits it; who aborts a request is not.
  answer.catch(() => {});
  for (const chunk of chunks ?? []) request.write(chunk);
  request.end(body);
  return { request, answer };
}

export const ask = (server, options) => start(server, options).answer;

export function assertRefused(answer, expected) {
  assert.equal(answer.status, 400, answer.body);
  assert.equal(answer.headers["content-type"], "application/json");
  assert.deepEqual(JSON.parse(answer.body), expected);
}

export function assertEmpty(answer, status) {
  assert.equal(answer.status, status);
  assert.equal(answer.body, "");
}

export function assertOk(answer) {
  assert.equal(answer.status, 200, answer.body);
  assert.equal(answer.body, "ok");
}

export class PollingSession {
  #packets = [];

  constructor(server, key, agent, query) {
    this.server = server;
    this.agent = agent;
    this.path = `${POLLING}${query}`;
    this.headers = key === null ? {} : { "X-Api-Key": key };
  }

  /** Opens a session; without a key, if there is no name. */
  static async open(server, name, { agent = false, query = "", headers = {} } = {}) {
    const session = new PollingSession(server, name === null ? null : server.key(name), agent, query);
    Object.assign(session.headers, headers);
    const answer = await session.get().answer;
    assert.equal(answer.status, 200, answer.body);
    assert.equal(answer.body[0], "0");
    session.opening = answer;
    session.handshake = JSON.parse(answer.body.slice(1));
    session.path += `&sid=${encodeURIComponent(session.handshake.sid)}`;
    return session;
  }

  /** Opens a session and joins the main namespace. */
  static async join(server, name, options) {
    const session = await PollingSession.open(server, name, options);
    await session.send("40");
    session.sid = JSON.parse((await session.packet()).slice(2)).sid;
    session.activities = bare(JSON.parse((await session.packet()).slice(2))[1]);
    return session;
  }

  request({ headers, ...options }) {
    return start(this.server, { path: this.path, agent: this.agent, ...options, headers: { ...this.headers, ...headers } });
  }

  get(options) {
    return this.request({ method: "GET", ...options });
  }

  post(body, { headers, ...options } = {}) {
    return this.request({ method: "POST", body, ...options, headers: { "Content-Type": "text/plain;charset=UTF-8", ...headers } });
  }

  /** A POST that must be taken. */
  async send(...packets) {
    assertOk(await this.post(packets.join("\x1e")).answer);
  }

  /** The next packet, by as many GETs as it takes. */
  async packet(milliseconds) {
    while (this.#packets.length === 0) {
      const { status, body } = await this.get({ milliseconds }).answer;
      assert.equal(status, 200, body);
      this.#packets.push(...body.split("\x1e"));
    }
    return this.#packets.shift();
  }

  /**
   * A GET that waits at the server. Nothing says that it has arrived, so it is given the time of several POSTs of something without effect, an
   * unasked pong: on a busy machine a thread of the server may sleep with the GET in its hands while others serve one or two.
   */
  async hold(options) {
    const held = this.get(options);
    for (let i = 0; i < 6; i += 1) {
      const first = await Promise.race([held.answer, this.post("3").answer]);
      assert.equal(first.body, "ok", "the GET was answered at once");
    }
    return held;
  }

  /** A POST whose first bytes are sent, and no more than those. */
  begin(first = "4", length = 1000, headers = {}) {
    const socket = net.connect(this.server.port, "127.0.0.1");
    this.server.adopt(() => socket.destroy());
    const all = { Host: "localhost", "Content-Length": length, ...this.headers, ...headers };
    const lines = Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST ${this.path} HTTP/1.1\r\n${lines.join("")}\r\n${first}`);
    let text = "";
    const answered = new Promise((resolve) => {
      socket.on("data", (data) => {
        text += data.toString("latin1");
        const [head, body] = text.split("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (body !== undefined && body.length >= length) resolve({ status: Number(text.slice(9, 12)), body });
      });
      socket.on("close", () => resolve({ status: 0, body: "" }));
    });
    socket.on("error", () => {});
    return { socket, answer: within(DEADLINE_MS, "the answer to a POST", answered) };
  }

  /** It is a session and does what a joined session does. */
  async alive() {
    await this.send('42["get-activities"]');
    assert.match(await this.packet(), /^42\["activities",\[/);
  }

  /** Its id is known no more. */
  async gone() {
    assertRefused(await this.get().answer, UNKNOWN);
    assertRefused(await this.post("3").answer, UNKNOWN);
  }

  /** A WebSocket for this session, after its 101. */
  async candidate({ headers = this.headers } = {}) {
    const candidate = new RawSession(this.server, null, { path: this.path.replace("polling", "websocket"), headers });
    const { ws } = candidate;
    await within(DEADLINE_MS, "the 101", new Promise((resolve, reject) => {
      ws.once("open", resolve);
      ws.once("error", reject);
    }));
    return candidate;
  }

  /** A WebSocket that has probed. */
  async probed(options) {
    const candidate = await this.candidate(options);
    candidate.send("2probe");
    assert.equal(await candidate.frame(), "3probe");
    return candidate;
  }

  /** The whole upgrade, with no request under way. */
  async upgrade(options) {
    const candidate = await this.probed(options);
    candidate.send("5");
    return candidate;
  }
}
