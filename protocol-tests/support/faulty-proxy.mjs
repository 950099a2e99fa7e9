// A proxy between clients and a server that does to connections what networks do.

import { once } from "node:events";
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** The most bytes of a connection behind which it may be reset, or go silent: further than a handshake. */
const FAR_BYTES = 3000;
/** The longest time after which it may. */
const LATE_MS = 1500;

/** What may be done to a connection; random numbers say how exactly. */
export const FAULTS = {
  /** All comes later, in both directions. */
  delay: (random) => ({ gap: 5 + random.below(150) }),
  /** One byte, and the next a while later. */
  trickle: () => ({ pieces: (data) => cut(data, () => 1), gap: 1 }),
  /** Pieces of any size, each in a segment of its own. */
  split: (random) => ({ pieces: (data) => cut(data, () => 1 + random.below(40)), gap: 2 }),
  /** What the client sends comes to the server on a second connection, too. */
  duplicate: () => ({ isDoubled: true }),
  /** Ends by a reset on both sides, wherever it is then. */
  reset: (random) => ({ end: "reset", ...moment(random) }),
  /** Neither bytes nor an end get through any more, and nobody is told. */
  silence: (random) => ({ end: "silence", ...moment(random) }),
};

function moment(random) {
  return random.chance(50) ? { behindBytes: random.below(FAR_BYTES) } : { afterMs: random.below(LATE_MS) };
}

/** What the client says is split once, behind so many bytes. */
export function splitBehind(bytes) {
  const pieces = (data, offset, isOfClient) => {
    const at = bytes - offset;
    return isOfClient && at > 0 && at < data.length ? [data.subarray(0, at), data.subarray(at)] : [data];
  };
  return { name: "split", pieces, gap: 2 };
}

function* cut(data, size) {
  for (let from = 0; from < data.length; ) {
    const to = from + size();
    yield data.subarray(from, to);
    from = to;
  }
}

export class Proxy {
  #draw;
  #listener;
  #connections = new Set();
  #isHealed = false;
  /** How many connections each fault has hit. */
  counts = {};
  /** The most bytes that a client has sent on one connection. */
  longest = 0;

  /** Does to each connection what `draw` answers; nothing, if it answers nothing. */
  constructor(draw) {
    this.#draw = draw;
  }

  /** Does one of the faults `names` to so many percent of the connections. */
  static random(random, names, percent) {
    return new Proxy(() => {
      if (!random.chance(percent)) return undefined;
      const name = random.pick(names);
      return { name, ...FAULTS[name](random) };
    });
  }

  /** In front of what listens on the port that `target` answers with. */
  async listen(target) {
    this.#listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const connection = new Connection(client, target(), this.#fault());
      this.#connections.add(connection);
      void connection.ended.then((bytes) => {
        this.#connections.delete(connection);
        this.longest = Math.max(this.longest, bytes);
      });
    });
    this.#listener.listen(0, "127.0.0.1");
    await once(this.#listener, "listening");
    this.port = this.#listener.address().port;
    return this;
  }

  #fault() {
    const fault = this.#isHealed ? undefined : this.#draw();
    if (fault === undefined) return {};
    this.counts[fault.name] = (this.counts[fault.name] ?? 0) + 1;
    return fault;
  }

  /** From now on all is well, but for what is silent already. */
  heal() {
    this.#isHealed = true;
    for (const connection of this.#connections) connection.heal();
  }

  async close() {
    this.#listener.close();
    const connections = [...this.#connections];
    for (const connection of connections) connection.reset();
    await Promise.all(connections.map(({ ended }) => ended));
  }
}

/**
 * A socket cannot be reset while its end is on its way: Node says EINVAL, never closes the descriptor, and spins for ever when the process ends. Such a one
 * has said goodbye, so it is closed.
 */
function reset(socket) {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

/** A poll of a session. Whoever asks a second time gets what the first would have got, and nothing tells the two apart. */
const POLL = /^GET \S*transport=polling\S*sid=/;

class Connection {
  #client;
  #server;
  #port;
  #fault;
  #passed = 0;
  #isSilent = false;
  #timer;
  /** How many bytes the client has sent, once both sides have ended. */
  ended;

  constructor(client, port, fault) {
    this.#client = client;
    this.#port = port;
    this.#fault = fault;
    this.#server = this.#dial({ allowHalfOpen: true });
    client.on("error", () => {});
    this.#closes(client, this.#server);
    this.#closes(this.#server, client);
    if (fault.afterMs !== undefined) this.#timer = setTimeout(() => this.#end(), fault.afterMs);
    this.ended = this.#run();
  }

  /** A connection to the server; that it breaks is noticed by its end. */
  #dial(options) {
    return net.connect({ port: this.#port, host: "127.0.0.1", noDelay: true, ...options }).on("error", () => {});
  }

  #closes(socket, other) {
    socket.on("close", (isBroken) => {
      if (isBroken && !this.#isSilent) reset(other);
    });
  }

  async #run() {
    await Promise.all([this.#pump(this.#client, this.#server), this.#pump(this.#server, this.#client)]);
    clearTimeout(this.#timer);
    // Nobody has said goodbye to either.
    if (this.#isSilent) this.reset();
    return this.#client.bytesRead;
  }

  async #pump(from, to) {
    const isOfClient = from === this.#client;
    let double;
    let offset = 0;
    try {
      for await (const data of from) {
        if (isOfClient && this.#fault.isDoubled && (offset > 0 || !POLL.test(data.toString("latin1")))) double ??= this.#dial().resume();
        double?.write(data);
        for (const piece of this.#fault.pieces?.(data, offset, isOfClient) ?? [data]) {
          if (this.#fault.gap !== undefined) await pause(this.#fault.gap);
          this.#passed += piece.length;
          if (this.#passed > this.#fault.behindBytes) this.#end();
          if (!this.#isSilent && !to.destroyed && !to.write(piece)) await Promise.race([once(to, "drain"), once(to, "close")]);
        }
        offset += data.length;
      }
      if (!this.#isSilent) to.end();
    } catch {
      // The connection is broken; its other side has been told.
    } finally {
      double?.destroy();
    }
  }

  #end() {
    if (this.#fault.end === "reset") this.reset();
    else this.#isSilent = true;
  }

  reset() {
    reset(this.#client);
    reset(this.#server);
  }

  /** What is silent already stays so. */
  heal() {
    clearTimeout(this.#timer);
    this.#fault = {};
  }
}
