// Times: the server's clock, and how long ago something was.

/** How far the server's clock is ahead of this device's, in ms. */
let ahead = 0;

/** Learns it from an answer. Dates have whole seconds, so a little is nothing. */
export function noteDate(date) {
  const difference = Date.parse(date ?? "") + 500 - Date.now();
  if (Number.isFinite(difference)) ahead = Math.abs(difference) < 2000 ? 0 : difference;
}

/** What time it is, by the server's clock. */
export const now = () => Date.now() + ahead;

const UNITS = [[86_400_000, "day", "days"], [3_600_000, "h", "h"], [60_000, "min", "min"]];

function span(ms) {
  for (const [unit, one, many] of UNITS) {
    const count = Math.floor(ms / unit);
    if (count > 0) return `${count} ${count === 1 ? one : many}`;
  }
  return "now";
}

/** Lets a `<time>` show how long ago `ms` (since 1970, by the server's clock) was, and exactly when, to who points at it. */
export function showTime(time, ms) {
  const date = new Date(ms);
  time.dateTime = date.toISOString();
  time.title = date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "medium" });
  time.textContent = span(now() - ms);
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = span(now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}, 10_000);
