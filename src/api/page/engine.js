// Engine.IO 4, as much of it as a browser needs. A session is opened by long-polling, with the key in a header that no WebSocket of a browser can
// carry; then it moves to a WebSocket, if one gets through, and stays where it is if none does.

import { Problem, request } from "./http.js";

const SEPARATOR = "\x1e";

/** How long a WebSocket may take to get through. */
const PROBE_MS = 10_000;

/** One session. It ends once, and then `onclose` is told why. */
export class Engine {
  /** Where the session is: "polling" or "websocket". */
  transport = "polling";
  #path;
  #query = "?EIO=4";
  #headers;
  #events;
  #ended = false;
  #abort = new AbortController();
  #socket;
  /** Packets that wait to be sent. */
  #queue = [];
  /** A WebSocket takes over: nothing is sent or asked for until it has. */
  #isMoving = false;
  /** The GETs, one after another; the POSTs, one after another. */
  #polling;
  #posting;
  #patience;
  #heartbeat;

  /** `events` are `onmessage(text)`, `onmove()` and `onclose(problem)`. */
  constructor(path, key, events) {
    this.#path = path;
    this.#headers = { "X-Api-Key": key };
    this.#events = events;
  }

  /** Opens the session; a `Problem` if the server does not want it. */
  async open(mayMove = true) {
    const [opening, ...packets] = (await this.#ask("GET")).split(SEPARATOR);
    if (this.#ended) return;
    const { sid, upgrades, pingInterval, pingTimeout } = JSON.parse(opening.slice(1));
    this.#query += `&sid=${encodeURIComponent(sid)}`;
    this.#patience = pingInterval + pingTimeout;
    this.#beat();
    packets.forEach((packet) => this.#take(packet));
    this.#polling = this.#poll();
    if (mayMove && upgrades.includes("websocket")) this.#probe();
  }

  /** Sends a message; to a session that has ended, nothing is said any more. */
  send(message) {
    if (!this.#ended) this.#push(`4${message}`);
  }

  /** Ends the session in good order: what was sent before still arrives. */
  close() {
    if (this.#ended) return;
    this.#push("1");
    this.#end();
    this.#socket?.close();
  }

  /** Ends it at once, and tells nobody. */
  drop() {
    this.#end();
    this.#abort.abort();
    this.#socket?.close();
  }

  /** Ends it at once, for this reason. */
  fail(error) {
    if (this.#ended) return;
    this.drop();
    // What is no answer of the server is a mistake of ours.
    if (!(error instanceof Problem)) console.error(error);
    this.#events.onclose(error instanceof Problem ? error : new Problem(0, error.message));
  }

  #end() {
    this.#ended = true;
    clearTimeout(this.#heartbeat);
  }

  #ask(method, body) {
    const path = `${this.#path}${this.#query}&transport=polling`;
    return request(path, { method, body, headers: this.#headers, signal: this.#abort.signal });
  }

  async #poll() {
    try {
      while (!this.#ended && !this.#isMoving) {
        const payload = await this.#ask("GET");
        for (const packet of payload.split(SEPARATOR)) this.#take(packet);
      }
    } catch (problem) {
      this.fail(problem);
    }
  }

  #push(packet) {
    this.#queue.push(packet);
    this.#flush();
  }

  #flush() {
    if (this.#isMoving || this.#queue.length === 0) return;
    if (this.#socket) this.#queue.splice(0).forEach((packet) => this.#socket.send(packet));
    else this.#posting ??= this.#post();
  }

  async #post() {
    try {
      while (this.#queue.length > 0 && !this.#isMoving) await this.#ask("POST", this.#queue.splice(0).join(SEPARATOR));
    } catch (problem) {
      this.fail(problem);
    }
    this.#posting = undefined;
  }

  /** The server asks now and then whether we are here; if it does not, it is not there itself. */
  #beat() {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => this.fail(new Problem(0, "no heartbeat")), this.#patience);
  }

  #take(packet) {
    if (this.#ended) return;
    const data = packet.slice(1);
    switch (packet[0]) {
      case "1":
        return this.fail(new Problem(0, "closed by the server"));
      case "2":
        this.#beat();
        return this.#push(`3${data}`);
      case "4":
        return this.#events.onmessage(data);
    }
  }

  #probe() {
    const url = new URL(`${this.#path}${this.#query}&transport=websocket`, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    let socket;
    try {
      socket = new WebSocket(url);
    } catch {
      // Forbidden here.
      return;
    }
    const late = setTimeout(() => socket.close(), PROBE_MS);
    socket.onopen = () => socket.send("2probe");
    socket.onclose = () => clearTimeout(late);
    socket.onmessage = ({ data }) => {
      clearTimeout(late);
      if (data === "3probe" && !this.#ended) this.#move(socket);
      else socket.close();
    };
  }

  async #move(socket) {
    this.#isMoving = true;
    // The server answers the GET at once. What it sends meanwhile waits for the WebSocket.
    await Promise.all([this.#polling, this.#posting]);
    this.#isMoving = false;
    if (socket.readyState === WebSocket.OPEN) {
      socket.onmessage = ({ data }) => this.#take(data);
      socket.onclose = () => this.fail(new Problem(0, "the WebSocket is gone"));
      socket.send("5");
      this.#socket = socket;
      this.transport = "websocket";
      if (!this.#ended) this.#events.onmove();
    } else if (!this.#ended) {
      this.#polling = this.#poll();
    }
    this.#flush();
    if (this.#ended) socket.close();
  }
}
