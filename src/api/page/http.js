// Requests, and what it means when they fail.

import { noteDate } from "./time.js";

/** A no of the server, with its status; or, with the status 0, no answer at all. */
export class Problem extends Error {
  constructor(status, message = "", retryAfter = 0) {
    super(message);
    this.status = status;
    /** In seconds. */
    this.retryAfter = retryAfter;
  }

  /** Whether there is no use in trying again with the same key. */
  get isFinal() {
    return this.status === 401 || this.status === 403;
  }
}

/** The text of an answer; a `Problem` if it is none, or a no. */
export async function request(path, options) {
  let response, text;
  try {
    response = await fetch(new URL(path, document.baseURI), { cache: "no-store", ...options });
    text = await response.text();
  } catch (error) {
    throw new Problem(0, error.message);
  }
  noteDate(response.headers.get("Date"));
  if (response.ok) return text;
  throw new Problem(response.status, messageOf(text), Number(response.headers.get("Retry-After")) || 0);
}

/** The same for JSON. */
export async function requestJson(path, options) {
  const text = await request(path, options);
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(404, "no JSON");
  }
}

/** What a no says; nothing, if it is from something that stands in between. */
function messageOf(text) {
  try {
    return JSON.parse(text).message ?? "";
  } catch {
    return "";
  }
}

/** A problem in plain words, with what to do. */
export function explain({ status, message, retryAfter }) {
  const again = retryAfter ? ` Wait ${retryAfter} seconds.` : "";
  switch (status) {
    case 0:
      return "The server does not answer. It may be starting again, or this device has no network.";
    case 401:
      return message || "The server does not know this key.";
    case 403:
      return message || "You may not come in. Ask an admin.";
    case 404:
      return "Activities are switched off on this server (SERVER_ONLINE_ACTIVITIES_DISABLED), or the proxy in front of it does not pass this path on. Only who runs it can change that.";
    case 429:
      return `${message || "There were too many tries from your address."}${again}`;
    case 503:
      return `${message || "The server has no room now."}${again}`;
    default:
      return `The server, or a proxy in front of it, answers ${status}${message && `: ${message}`}. If that stays so, tell who runs it.`;
  }
}
