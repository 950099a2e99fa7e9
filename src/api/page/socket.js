// Socket.IO 5 on an Engine.IO session: the main namespace, events and acks, as text. A connection that is lost is made again, later and later.

import { Engine } from "./engine.js";
import { Problem } from "./http.js";

/** How long it may take to be connected, and an ack to come. */
const PATIENCE_MS = 15_000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
/** WebSockets that do not live as long, so many in a row, are cut off by something in between. */
const SHORT_LIFE_MS = 5000;
const SHORT_LIVES = 2;

/**
 * A socket. `onevent(name, ...args)` is told what comes, `onjoin()` each time that it is connected, and `onstate` how it stands:
 * `{name: "connecting"}`, `{name: "connected", transport}`, `{name: "waiting", until, problem}` before the next attempt; and at the end
 * `{name: "refused", problem}` or `{name: "sent away"}`.
 */
export class Socket {
  #path;
  #key;
  #events;
  #engine;
  #attempts = 0;
  #timer;
  #nextAck = 0;
  #acks = new Map();
  #isConnected = false;
  #isWaiting = false;
  #movedAt = 0;
  #shortLives = 0;

  constructor(path, key, events) {
    this.#path = path;
    this.#key = key;
    this.#events = events;
  }

  async connect() {
    this.#isWaiting = false;
    clearTimeout(this.#timer);
    this.#events.onstate({ name: "connecting" });
    const engine = (this.#engine = new Engine(this.#path, this.#key, {
      onmessage: (text) => this.#take(text),
      onmove: () => this.#moved(),
      onclose: (problem) => this.#lost(problem),
    }));
    this.#timer = setTimeout(() => engine.fail(new Problem(0, "too slow")), PATIENCE_MS);
    try {
      await engine.open(this.#shortLives < SHORT_LIVES);
      engine.send("0");
    } catch (problem) {
      engine.fail(problem instanceof Problem ? problem : new Problem(404, "no Engine.IO"));
    }
  }

  /** Does not wait for the next attempt. */
  hurry() {
    if (this.#isWaiting) this.connect();
  }

  /** Takes leave. */
  close() {
    if (this.#isConnected) {
      this.#engine.send("1");
      this.#engine.close();
    } else {
      this.#engine.drop();
    }
    this.#stop();
  }

  /** Sends an event; its ack, or a `Problem`. */
  emit(name, ...args) {
    return new Promise((resolve, reject) => {
      if (!this.#isConnected) return reject(new Problem(0, "not connected"));
      const id = this.#nextAck++;
      const late = setTimeout(() => this.#acks.delete(id) && reject(new Problem(0, "no ack")), PATIENCE_MS);
      this.#acks.set(id, {
        resolve: (answer) => (clearTimeout(late), resolve(answer)),
        reject: (problem) => (clearTimeout(late), reject(problem)),
      });
      this.#engine.send(`2${id}${JSON.stringify([name, ...args])}`);
    });
  }

  #take(text) {
    const [, type, id, json] = /^(\d)(\d*)(.*)$/s.exec(text);
    const data = json && JSON.parse(json);
    switch (type) {
      case "0":
        clearTimeout(this.#timer);
        this.#attempts = 0;
        this.#isConnected = true;
        this.#tellConnected();
        return this.#events.onjoin();
      case "1":
        return this.#end({ name: "sent away" });
      case "2":
        return this.#events.onevent(...data);
      case "3":
        this.#acks.get(Number(id))?.resolve(data[0]);
        return this.#acks.delete(Number(id));
      case "4":
        return this.#end({ name: "refused", problem: new Problem(401, data.message) });
    }
  }

  #moved() {
    this.#movedAt = performance.now();
    if (this.#isConnected) this.#tellConnected();
  }

  #tellConnected() {
    this.#events.onstate({ name: "connected", transport: this.#engine.transport });
  }

  #lost(problem) {
    this.#stop();
    if (problem.isFinal) return this.#end({ name: "refused", problem });
    const isShort = this.#engine.transport === "websocket" && performance.now() - this.#movedAt < SHORT_LIFE_MS;
    this.#shortLives = isShort ? this.#shortLives + 1 : 0;
    // Not all at once, when a server has lost all its clients at once.
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#attempts++, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2) + problem.retryAfter * 1000;
    this.#isWaiting = true;
    this.#timer = setTimeout(() => this.connect(), pause);
    this.#events.onstate({ name: "waiting", until: Date.now() + pause, problem });
  }

  #end(state) {
    this.#stop();
    this.#engine.close();
    this.#events.onstate(state);
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#isWaiting = false;
    this.#isConnected = false;
    for (const { reject } of this.#acks.values()) reject(new Problem(0, "disconnected"));
    this.#acks.clear();
  }
}
