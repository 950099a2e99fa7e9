// Who is here: everyone's activity, as a list that changes in place.

import { announce, arrange, byId, compare, element, say } from "./dom.js";
import { now, showTime } from "./time.js";

const GROUPS = [["PLAYING", "Playing"], ["BUSY", "Busy"], ["ONLINE", "Online"]];

/** More are counted, but not shown. */
const MAX_ROWS = 500;

/** What a user does, in words. */
export function doing({ state, ...more }) {
  const word = { PLAYING: "Playing", BUSY: "Busy", ONLINE: "Online" }[state] ?? "Offline";
  return [word, what(more)].filter(Boolean).join(" · ");
}

/** The same without what the group says. */
const what = ({ game_id, details }) => [game_id !== undefined && `Game ${game_id}`, details].filter(Boolean).join(" · ");

export class Roster {
  #myId;
  #onstrangers;
  /** By user id. */
  #activities = new Map();
  #users = new Map();
  #rows = new Map();
  #lists = new Map();
  #isDue = false;

  /** `onstrangers` is called when someone is here whose name is not known. */
  constructor(myId, onstrangers) {
    this.#myId = myId;
    this.#onstrangers = onstrangers;
    arrange(byId("groups"), GROUPS.map(([state, title]) => {
      const [count, list] = [element("span", { className: "count" }), element("ul", { role: "list" })];
      const more = element("p", { className: "hint" });
      const group = element("section", { className: "group" }, element("h3", {}, `${title} `, count), list, more);
      this.#lists.set(state, { group, count, list, more });
      return group;
    }));
    this.#render();
  }

  setUsers(users) {
    this.#users = new Map(users.map((user) => [user.id, user]));
    this.#changed();
  }

  /** All who are not offline. */
  setAll(activities) {
    this.#activities = new Map(activities.map((activity) => [activity.user_id, activity]));
    this.#changed();
  }

  /** What one does from now on. */
  set(activity) {
    const { user_id, state } = activity;
    const before = this.#activities.get(user_id);
    if (state === "OFFLINE") {
      this.#activities.delete(user_id);
      const user = this.#users.get(user_id);
      if (user) user.last_seen = now();
    } else {
      this.#activities.set(user_id, activity);
    }
    if (user_id !== this.#myId && doing(before ?? {}) !== doing(activity)) announce(`${this.nameOf(user_id)}: ${doing(activity)}`, user_id);
    this.#changed();
  }

  /** What this user does, if it is here. */
  of(id) {
    return this.#activities.get(id);
  }

  nameOf(id) {
    return this.#users.get(id)?.username ?? `User ${id}`;
  }

  /** Many changes are shown at once. */
  #changed() {
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => {
      this.#isDue = false;
      this.#render();
    }, 50);
  }

  #render() {
    const here = [...this.#activities.values()].map((activity) => ({ ...activity, name: this.nameOf(activity.user_id) }));
    here.sort((one, other) => compare(one.name, other.name));
    if (here.some(({ user_id }) => !this.#users.has(user_id))) this.#onstrangers();
    for (const [state, { group, count, list, more }] of this.#lists) {
      const those = here.filter((activity) => activity.state === state);
      group.hidden = those.length === 0;
      say(count, String(those.length));
      arrange(list, those.slice(0, MAX_ROWS).map((activity) => this.#row(activity.user_id, activity.name, what(activity), activity.since, state)));
      say(more, those.length > MAX_ROWS ? `and ${those.length - MAX_ROWS} more` : "");
    }
    byId("nobody").hidden = here.length > 0;
    say(byId("roster-count"), String(here.length));
    document.title = here.length > 0 ? `(${here.length}) Rollcall` : "Rollcall";
    this.#renderAway();
  }

  #renderAway() {
    const away = [...this.#users.values()].filter(({ id }) => !this.#activities.has(id));
    away.sort((one, other) => (other.last_seen ?? 0) - (one.last_seen ?? 0) || compare(one.username, other.username));
    byId("away").hidden = away.length === 0;
    say(byId("away-count"), String(away.length));
    arrange(byId("away-list"), away.slice(0, MAX_ROWS).map(({ id, username, last_seen }) => this.#row(id, username, last_seen ? "Last seen" : "Not seen yet", last_seen, "OFFLINE")));
    byId("away-more").hidden = away.length <= MAX_ROWS;
    say(byId("away-more"), `and ${away.length - MAX_ROWS} more`);
  }

  /** The row of a user, the same as long as the page is open. */
  #row(id, name, text, since, state) {
    let row = this.#rows.get(id);
    if (!row) {
      const parts = { avatar: element("span", { className: "avatar", ariaHidden: "true" }), name: element("b"), text: element("span", { className: "doing" }), time: element("time") };
      const me = id === this.#myId ? [" ", element("span", { className: "badge" }, "you")] : [];
      row = { ...parts, item: element("li", {}, parts.avatar, element("span", { className: "who" }, element("span", {}, parts.name, ...me), parts.text), parts.time) };
      row.avatar.style.setProperty("--hue", String((id * 47) % 360));
      this.#rows.set(id, row);
    }
    row.item.dataset.state = state;
    say(row.name, name);
    say(row.avatar, [...name][0]?.toUpperCase() ?? "");
    say(row.text, text);
    row.time.hidden = !since;
    if (since) showTime(row.time, since);
    return row.item;
  }
}
