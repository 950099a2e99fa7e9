// The official client as a player who says again what it does whenever it is back, and keeps what it believes of everyone.

import { io } from "socket.io-client";

export const WAYS = {
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  upgrade: { transports: ["polling", "websocket"] },
};

export class Believer {
  /** By user id, who is not offline. None: it was not told yet. */
  known = undefined;
  /** What it does, as it says it; none: nothing yet. */
  doing = undefined;
  /** How often it was let in. */
  joins = 0;
  /** What it was told and cannot be. */
  wrong = [];
  /** The place of the last change that it was told. */
  #last = undefined;

  /** `port` is that of the server, or of what stands in front of it. */
  constructor(server, name, way, { port = server.port, mayMiss = false, connect = io, ...options } = {}) {
    this.name = name;
    this.userId = server.id(name);
    this.way = way;
    this.mayMiss = mayMiss;
    this.socket = connect(`http://127.0.0.1:${port}`, {
      ...WAYS[way],
      extraHeaders: { "X-Api-Key": server.key(name) },
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 100,
      timeout: 3000,
      ...options,
    });
    server.adopt(() => this.socket.disconnect());
    this.socket.on("connect", () => {
      this.joins += 1;
      this.#last = undefined;
      this.#say();
    });
    this.socket.on("disconnect", () => (this.known = undefined));
    this.socket.on("activities", (all) => {
      this.known = new Map(all.map((activity) => [activity.user_id, activity]));
      if (this.known.size !== all.length) this.wrong.push(`a user is in a snapshot twice: ${JSON.stringify(all)}`);
      this.#last = undefined;
    });
    this.socket.on("activity", (activity) => this.#take(activity));
  }

  #take({ seq, ...activity }) {
    if (this.known === undefined) {
      this.wrong.push(`before any snapshot: ${JSON.stringify(activity)}`);
      return;
    }
    if (seq < this.#last) this.wrong.push(`after ${this.#last} it was told ${seq}: ${JSON.stringify(activity)}`);
    if (seq > this.#last + 1) {
      if (!this.mayMiss) this.wrong.push(`between ${this.#last} and ${seq} it missed something`);
      // As docs/presence.md has it.
      this.socket.emit("get-activities");
    }
    this.#last = seq;
    if (activity.state === "OFFLINE") this.known.delete(activity.user_id);
    else this.known.set(activity.user_id, activity);
  }

  /** Does this from now on. */
  act(doing) {
    this.doing = doing;
    this.#say();
  }

  #say() {
    if (this.doing !== undefined && this.socket.connected) this.socket.emit("set-activity", this.doing);
  }

  /** What it believes, by user id. */
  get view() {
    return this.known && [...this.known.values()].sort((one, other) => one.user_id - other.user_id);
  }
}
