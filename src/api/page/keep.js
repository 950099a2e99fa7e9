// What is kept for this tab: the key, whose it is, and what was said last. Where the browser keeps nothing, until the page is left.

const memory = new Map();

export function kept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`rollcall.${name}`)) ?? memory.get(name);
  } catch {
    return memory.get(name);
  }
}

export function keep(name, value) {
  memory.set(name, value);
  try {
    sessionStorage.setItem(`rollcall.${name}`, JSON.stringify(value));
  } catch {
    // It is in memory.
  }
}

export function forget() {
  memory.clear();
  try {
    for (const name of ["key", "user", "report"]) sessionStorage.removeItem(`rollcall.${name}`);
  } catch {
    // Then there was nothing.
  }
}
