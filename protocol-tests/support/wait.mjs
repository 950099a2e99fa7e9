import { setTimeout as pause } from "node:timers/promises";

export const DEADLINE_MS = 5000;

/** What `promise` gives, or an error that says what did not come in time. */
export function within(milliseconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms for ${typeof what === "function" ? what() : what}`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits for something that nobody announces: asks again and again until it is `wanted`. */
export async function until(what, wanted, read, milliseconds = DEADLINE_MS) {
  const start = performance.now();
  for (;;) {
    const value = read();
    if (wanted(value)) return value;
    if (performance.now() - start > milliseconds) throw new Error(`waited ${milliseconds} ms for ${what}: ${value}`);
    await pause(50);
  }
}

/** What arrives, in order; whoever wants something takes it out, and waits for it if it is not there yet. */
export class Inbox {
  #items = [];
  #waiting = [];

  put(item) {
    const index = this.#waiting.findIndex(({ wanted }) => wanted(item));
    if (index === -1) this.#items.push(item);
    else this.#waiting.splice(index, 1)[0].resolve(item);
  }

  /** The oldest item that is wanted; every one is, unless told otherwise. */
  async take(what = "anything", wanted = () => true, milliseconds = DEADLINE_MS) {
    const index = this.#items.findIndex(wanted);
    if (index !== -1) return this.#items.splice(index, 1)[0];
    const waiter = { wanted };
    const arrived = new Promise((resolve) => (waiter.resolve = resolve));
    this.#waiting.push(waiter);
    try {
      return await within(milliseconds, () => `${what}; there is ${JSON.stringify(this.#items).slice(0, 2000)}`, arrived);
    } finally {
      this.#waiting = this.#waiting.filter((other) => other !== waiter);
    }
  }

  /** All that is there now and wanted, without waiting. */
  takeAll(wanted = () => true) {
    const taken = this.#items.filter(wanted);
    this.#items = this.#items.filter((item) => !wanted(item));
    return taken;
  }
}
