// For admins: who is connected how often and by what, and the button that ends it.

import { arrange, byId, compare, element, say } from "./dom.js";
import { explain, request, requestJson } from "./http.js";
import { showTime } from "./time.js";

const EVERY_MS = 10_000;
/** After a change, which is seldom one alone. */
const SOON_MS = 1000;

/** More users are counted, but not shown. */
const MAX_ROWS = 500;

/** By what, and how often, if it is not once. */
function by({ websocket, polling }) {
  const times = (count, name) => (count > 1 ? `${count} ${name}` : name);
  return [websocket && times(websocket, "WebSocket"), polling && times(polling, "polling")].filter(Boolean).join(", ");
}

export class Sessions {
  #options;
  #nameOf;
  #rows = new Map();
  #timer;
  #isSoon = false;
  #isOver = false;

  constructor(key, nameOf) {
    this.#options = { headers: { "X-Api-Key": key } };
    this.#nameOf = nameOf;
    this.refresh();
  }

  /** Someone has come or gone. */
  soon() {
    if (this.#isSoon || this.#isOver) return;
    this.#isSoon = true;
    this.#refreshIn(SOON_MS);
  }

  stop() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    byId("confirm").close();
    byId("sessions").hidden = true;
  }

  async refresh() {
    this.#isSoon = false;
    try {
      const sessions = await requestJson("api/admin/sessions", this.#options);
      if (this.#isOver) return;
      this.#show(sessions);
      say(byId("sessions-error"), "");
    } catch (problem) {
      // No admin any more; or nobody who knows this path: a proxy may pass it on to GameVault.
      if (problem.isFinal || problem.status === 404) return this.stop();
    }
    if (!this.#isSoon) this.#refreshIn(EVERY_MS);
  }

  #refreshIn(ms) {
    clearTimeout(this.#timer);
    if (this.#isOver) return;
    this.#timer = setTimeout(() => (document.hidden ? this.#refreshIn(EVERY_MS) : this.refresh()), ms);
  }

  #show({ count: all, transports, users }) {
    byId("sessions").hidden = false;
    say(byId("sessions-sum"), `${all} connected: ${transports.websocket} by WebSocket, ${transports.polling} by long-polling.${users.length > MAX_ROWS ? ` The first ${MAX_ROWS} users are shown.` : ""}`);
    const rows = users.map((user) => ({ ...user, name: user.user_id === null ? "Without a key at first" : this.#nameOf(user.user_id) }));
    rows.sort((one, other) => compare(one.name, other.name));
    arrange(byId("sessions-rows"), rows.slice(0, MAX_ROWS).map((row) => this.#row(row)));
  }

  #row({ user_id, name, since, ...transports }) {
    let row = this.#rows.get(user_id);
    if (!row) {
      const [head, transport, time] = [element("th", { scope: "row" }), element("td"), element("time")];
      const button = element("button", { type: "button", className: "quiet" }, "Disconnect", element("span", { className: "unseen" }));
      row = { head, transport, time, button, line: element("tr", {}, head, transport, element("td", {}, time), element("td", {}, ...(user_id === null ? [] : [button]))) };
      button.onclick = () => this.#ask(user_id);
      this.#rows.set(user_id, row);
    }
    say(row.head, name);
    say(row.transport, by(transports));
    say(row.button.lastChild, ` ${name}`);
    showTime(row.time, since);
    return row.line;
  }

  #ask(id) {
    const dialog = byId("confirm");
    say(byId("confirm-title"), `Disconnect ${this.#nameOf(id)}?`);
    byId("confirm-no").onclick = () => dialog.close();
    byId("confirm-yes").onclick = () => {
      dialog.close();
      this.#disconnect(id);
    };
    dialog.showModal();
  }

  async #disconnect(id) {
    try {
      await request(`api/admin/users/${id}/sessions`, { ...this.#options, method: "DELETE" });
      await this.refresh();
      // The row with the button is gone.
      if (document.activeElement === document.body) byId("sessions-title").focus();
    } catch (problem) {
      say(byId("sessions-error"), `${this.#nameOf(id)} was not disconnected. ${explain(problem)}`);
    }
  }
}
