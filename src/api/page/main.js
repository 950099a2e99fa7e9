// The page: someone signs in, is connected, sees who is here, and is seen. Each part is a file of its own:
//
// * sign-in.js: who is it? keep.js: what the tab remembers.
// * socket.js, on engine.js: the connection. http.js: requests, and what their failures mean.
// * roster.js, status.js, sessions.js: everyone, oneself, and what admins see. dom.js, time.js: what they share.

import { announce, byId, element, say } from "./dom.js";
import { explain, requestJson } from "./http.js";
import { forget, keep, kept } from "./keep.js";
import { Roster } from "./roster.js";
import { Sessions } from "./sessions.js";
import { focusSignIn, showSignIn, userOf } from "./sign-in.js";
import { Socket } from "./socket.js";
import { Status } from "./status.js";

const ADMIN = 3;

/** How often names are asked for at most, when someone is here who has none. */
const USERS_MS = 10_000;

/** A user who is signed in, until `end`. */
class Visit {
  #user;
  #key;
  #roster;
  #status;
  #socket;
  #sessions;
  #countdown;
  #usersAskedAt = -Infinity;
  #isEnded = false;

  constructor(user, key) {
    this.#user = user;
    this.#key = key;
    show(["here", "me", "connection"], true);
    say(byId("my-name"), user.username);
    byId("sign-out").onclick = () => this.end();
    this.#roster = new Roster(user.id, () => this.#askUsers());
    this.#status = new Status((report) => this.#socket.emit("set-activity", report));
    this.#socket = new Socket("socket.io/", key, {
      onjoin: () => this.#status.repeat(),
      onstate: (state) => this.#showState(state),
      onevent: (name, data) => this.#take(name, data),
    });
    this.#askUsers();
    this.#socket.connect();
  }

  /** Signs out, and says why, if it was not the user's wish. */
  end(problem) {
    this.#isEnded = true;
    visit = undefined;
    clearInterval(this.#countdown);
    this.#socket.close();
    this.#sessions?.stop();
    forget();
    show(["here", "me", "connection"], false);
    showTrouble("");
    document.title = "Rollcall";
    const why = problem?.status === 401 ? "Your key is not valid any more: it was changed, or you were removed. Sign in again." : problem && explain(problem);
    showSignIn(signedIn, why);
    focusSignIn();
  }

  /** Does not wait for the next attempt to connect. */
  hurry() {
    this.#socket.hurry();
  }

  #take(name, data) {
    if (name === "activities") this.#roster.setAll(data);
    else if (name === "activity") this.#roster.set(data);
    else return;
    this.#status.showSeen(this.#roster.of(this.#user.id));
    this.#sessions?.soon();
  }

  async #askUsers() {
    if (performance.now() - this.#usersAskedAt < USERS_MS) return;
    this.#usersAskedAt = performance.now();
    try {
      this.#roster.setUsers(await requestJson("api/users", { headers: { "X-Api-Key": this.#key } }));
    } catch {
      // Until the next time they have numbers. What is wrong, the connection says.
    }
    if (this.#user.role === ADMIN && !this.#isEnded) this.#sessions ??= new Sessions(this.#key, (id) => this.#roster.nameOf(id));
  }

  #showState(state) {
    clearInterval(this.#countdown);
    this.#status.enabled = state.name === "connected";
    byId("here").classList.toggle("stale", state.name !== "connected");
    byId("connection").dataset.state = state.name;
    switch (state.name) {
      case "connecting":
        return say(byId("connection-text"), "Connecting…");
      case "connected":
        if (showTrouble("")) announce("Connected again");
        return say(byId("connection-text"), `Connected by ${state.transport === "websocket" ? "WebSocket" : "long-polling"}`);
      case "waiting":
        return this.#waiting(state);
      case "refused":
        return this.end(state.problem);
      case "sent away":
        return this.#sentAway();
    }
  }

  #waiting({ until, problem }) {
    showTrouble(`${explain(problem)} What is shown here may have changed since.`, "Try now", () => this.hurry());
    const count = () => say(byId("connection-text"), `Reconnecting in ${Math.max(1, Math.ceil((until - Date.now()) / 1000))} s`);
    count();
    this.#countdown = setInterval(count, 250);
  }

  /** The server does not want this session any more; maybe it does not want this key. */
  async #sentAway() {
    say(byId("connection-text"), "Disconnected");
    try {
      await userOf(this.#key);
    } catch (problem) {
      if (problem.isFinal && !this.#isEnded) return this.end(problem);
    }
    if (this.#isEnded) return;
    showTrouble("An admin has ended your sessions. What is shown here may have changed since.", "Connect again", () => this.#socket.connect());
  }
}

/** Who is signed in. */
let visit;

function signedIn({ id, username, role }, key) {
  const user = { id, username, role };
  keep("key", key);
  keep("user", user);
  visit = new Visit(user, key);
  byId("roster-title").focus();
}

function show(ids, isShown) {
  for (const id of ids) byId(id).hidden = !isShown;
}

/** Says what is wrong, with a button that does something about it; or that nothing is. Whether that is news. */
function showTrouble(text, action, onclick) {
  const trouble = byId("trouble");
  const isNews = trouble.dataset.text !== text && (text !== "" || trouble.hasChildNodes());
  trouble.dataset.text = text;
  if (isNews) {
    // Whoever has pressed the button goes on where the news are.
    if (text === "" && trouble.contains(document.activeElement)) byId("roster-title").focus();
    trouble.replaceChildren(...(text && [element("p", {}, text), element("button", { type: "button" }, action)]));
  }
  if (text) trouble.querySelector("button").onclick = onclick;
  return isNews;
}

addEventListener("online", () => visit?.hurry());
document.addEventListener("visibilitychange", () => document.hidden || visit?.hurry());

if (kept("key") && kept("user")) {
  visit = new Visit(kept("user"), kept("key"));
} else {
  showSignIn(signedIn);
  focusSignIn();
}
