// The official client as a player, who sets activities and hears of those of others.

import { io } from "socket.io-client";
import { bare, bareEvent } from "./activity.mjs";
import { Client } from "./client.mjs";
import { DEADLINE_MS } from "./wait.mjs";

/** Hears everything as it comes. */
export class WholePlayer extends Client {
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
    const player = new this(server, name, options);
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
}

/** Hears of activities without what depends on the moment: see `bare`. */
export class Player extends WholePlayer {
  /** The first argument of the oldest event of that name that was not taken yet; activities are `bare`. */
  async next(event, milliseconds = DEADLINE_MS) {
    return bareEvent(event, await super.next(event, milliseconds));
  }

  /** All arguments of that event, as they came. */
  whole(event, milliseconds = DEADLINE_MS) {
    return this.args(event, milliseconds);
  }

  /** The first arguments of all events of that name that were not taken yet; activities are `bare`. */
  all(event) {
    return super.all(event).map((argument) => bareEvent(event, argument));
  }

  /** All arguments of each of them, as they came. */
  allWhole(event) {
    return this.allArgs(event);
  }

  /** The answer; activities are `bare`. */
  async ask(...args) {
    return bare(await super.ask(...args));
  }

  /** The answer as it came. */
  askWhole(...args) {
    return super.ask(...args);
  }

  /** What it is told next of others: one activity, or, where there were too many for it, all as they are now. */
  async news(milliseconds = DEADLINE_MS) {
    const { event, args } = await this.oneOf(["activity", "activities"], milliseconds);
    return [bareEvent(event, args[0])].flat();
  }
}
