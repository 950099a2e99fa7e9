// The official client as a player, who sets activities and hears of those of others.

import { io } from "socket.io-client";
import { Client } from "./client.mjs";
import { DEADLINE_MS } from "./wait.mjs";

export class Player extends Client {
  /** `connect` is the `io` of another version. */
  constructor(server, name, { connect = io, ...options } = {}) {
    const socket = connect(server.url, {
      transports: ["websocket"],
      extraHeaders: { "X-Api-Key": server.key(name) },
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 50,
      ...options,
    });
    super(server, socket);
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

  /** What it is told next of others: one activity, or, where there were too many for it, all as they are now. */
  async news(milliseconds = DEADLINE_MS) {
    const { args } = await this.oneOf(["activity", "activities"], milliseconds);
    return args.slice(0, 1).flat();
  }
}
