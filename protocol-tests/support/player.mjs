// The official client as a player: it sets activities and keeps what it is told until the test asks for it.

import { io } from "socket.io-client";
import { DEADLINE_MS, Inbox, within } from "./wait.mjs";

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

export class Player {
  #inbox = new Inbox();

  /** `connect` is the `io` of another version. */
  constructor(server, name, { connect = io, ...options } = {}) {
    this.socket = connect(server.url, {
      transports: ["websocket"],
      extraHeaders: { "X-Api-Key": server.key(name) },
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 50,
      ...options,
    });
    server.adopt(() => this.socket.disconnect());
    onAny(this.socket, (event, ...args) => this.#inbox.put({ event, args }));
    for (const event of ["connect", "disconnect", "connect_error"]) {
      this.socket.on(event, (...args) => this.#inbox.put({ event, args }));
    }
  }

  /** Connects and takes the snapshot that comes first. */
  static async join(server, name, options) {
    const player = new Player(server, name, options);
    player.snapshot = await player.joined();
    return player;
  }

  async joined() {
    await this.next("connect");
    return this.next("activities");
  }

  /** Version 2 takes the session's id for it, which nobody else is told. */
  get sid() {
    return this.socket.id;
  }

  /** The first argument of the oldest event of that name that was not taken yet. */
  async next(event, milliseconds = DEADLINE_MS) {
    const item = await this.#inbox.take(event, (candidate) => candidate.event === event, milliseconds);
    return item.args[0];
  }

  /** What it is told next of others: one activity, or, where there were too many for it, all as they are now. */
  async news(milliseconds = DEADLINE_MS) {
    const wanted = ({ event }) => event === "activity" || event === "activities";
    return [(await this.#inbox.take("news of the others", wanted, milliseconds)).args[0]].flat();
  }

  /** The first arguments of all events of that name that were not taken yet. */
  all(event) {
    return this.#inbox.takeAll((candidate) => candidate.event === event).map((item) => item.args[0]);
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
