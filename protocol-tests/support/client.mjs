// An official client of any version: it keeps what it is told until the test asks for it.

import { createRequire } from "node:module";
import { io } from "socket.io-client";
import { DEADLINE_MS, Inbox, within } from "./wait.mjs";

const require = createRequire(import.meta.url);

export const TRANSPORTS = { default: ["polling", "websocket"], "polling only": ["polling"], "WebSocket only": ["websocket"] };

/** Three generations. Version 2 speaks Engine.IO 3, which a server has to allow. */
export const VERSIONS = { 4: io, 3: require("socket.io-client-3"), 2: require("socket.io-client-2") };

/** Version 2 has no `onAny`. */
function onAny(socket, listener) {
  if (socket.onAny) {
    socket.onAny(listener);
    return;
  }
  const { onevent } = socket;
  socket.onevent = function (packet) {
    listener(...packet.data);
    onevent.call(this, packet);
  };
}

export class Client {
  #inbox = new Inbox();

  /** Takes what `socket` is told. */
  constructor(server, socket) {
    this.server = server;
    this.socket = socket;
    server.adopt(() => socket.disconnect());
    onAny(socket, (event, ...args) => this.#inbox.put({ event, args }));
    // A refusal is an `error` to version 2.
    for (const event of ["connect", "disconnect", "connect_error", "error"]) {
      socket.on(event, (...args) => this.#inbox.put({ event, args }));
    }
  }

  /** A client with a connection of its own. `connect` is the `io` of its version. */
  static open(server, namespace, { connect = io, ...options } = {}) {
    return new Client(server, connect(`${server.url}${namespace}`, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options }));
  }

  /** Another namespace on the same connection. */
  beside(namespace, options) {
    return new Client(this.server, this.socket.io.socket(namespace, options));
  }

  /** Waits until it is let in. */
  async connected() {
    await this.next("connect");
    return this;
  }

  /** All arguments of the oldest event of that name that was not taken yet. */
  async args(event, milliseconds = DEADLINE_MS) {
    return (await this.#inbox.take(event, (candidate) => candidate.event === event, milliseconds)).args;
  }

  /** The first argument of the oldest event of that name that was not taken yet. */
  async next(event, milliseconds) {
    return (await this.args(event, milliseconds))[0];
  }

  /** The oldest event with one of those names that was not taken yet. */
  oneOf(events, milliseconds = DEADLINE_MS) {
    return this.#inbox.take(events.join(" or "), ({ event }) => events.includes(event), milliseconds);
  }

  /** All arguments of each event of that name that was not taken yet. */
  allArgs(event) {
    return this.#inbox.takeAll((candidate) => candidate.event === event).map(({ args }) => args);
  }

  /** The first arguments of all events of that name that were not taken yet. */
  all(event) {
    return this.allArgs(event).map(([argument]) => argument);
  }

  emit(...args) {
    this.socket.emit(...args);
  }

  ask(...args) {
    if (this.socket.timeout) return this.socket.timeout(DEADLINE_MS).emitWithAck(...args);
    // Versions 2 and 3 know neither.
    return within(DEADLINE_MS, `the ack of ${args[0]}`, new Promise((resolve) => this.socket.emit(...args, resolve)));
  }

  /** The transport it is on now. */
  get transport() {
    return this.socket.io.engine.transport.name;
  }

  /** Waits until it is on a WebSocket. */
  async upgraded() {
    const { engine } = this.socket.io;
    if (engine.transport.name === "websocket") return;
    await within(DEADLINE_MS, "the upgrade", new Promise((resolve) => engine.once("upgrade", resolve)));
  }

  /** Takes leave and waits until the connection is gone. */
  async leave() {
    this.socket.disconnect();
    await this.next("disconnect");
  }
}
