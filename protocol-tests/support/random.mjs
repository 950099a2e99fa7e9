// Numbers that look random and are the same every time (mulberry32).

export class Random {
  #state;

  constructor(seed) {
    // Neighbouring seeds must not begin alike.
    this.#state = Math.imul(seed + 1, 0x9e3779b9);
  }

  /** From 0 up to but not including 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 up to but not including `end`. */
  below(end) {
    return Math.floor(this.next() * end);
  }

  /** Whether something happens that happens `percent` times of a hundred. */
  chance(percent) {
    return this.below(100) < percent;
  }

  pick(choices) {
    return choices[this.below(choices.length)];
  }
}

/** A number from the environment. */
export function number(name, standard) {
  const text = process.env[name] ?? String(standard);
  if (!/^\d+$/.test(text)) throw new Error(`${name} is ${JSON.stringify(text)}: it must be a whole number`);
  return Number(text);
}
