// One's own status: the form that sets it, and what is said again after each connect.

import { announce, byId, say } from "./dom.js";
import { explain } from "./http.js";
import { keep, kept } from "./keep.js";
import { doing } from "./roster.js";

/** The largest game id, and with it the longest. */
const MAX_GAME_ID = Number.MAX_SAFE_INTEGER;

export class Status {
  #form = byId("status");
  #emit;

  /** `emit` sends a report and answers its ack. */
  constructor(emit) {
    this.#emit = emit;
    const { state, game_id, details } = kept("report") ?? { state: "ONLINE" };
    const { elements } = this.#form;
    elements.state.value = state;
    elements.game.value = game_id ?? "";
    elements.details.value = details ?? "";
    this.#form.onchange = () => this.#show();
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#set();
    };
    this.#show();
    this.fail("");
  }

  /** Says what was said last, or else that one is online. */
  repeat() {
    return this.#report(kept("report") ?? { state: "ONLINE" });
  }

  set enabled(isEnabled) {
    this.#form.querySelector("button").disabled = !isEnabled;
  }

  /** What everyone sees. */
  showSeen(activity) {
    say(byId("seen-as"), activity ? `Everyone sees you: ${doing(activity)}` : "Nobody sees you.");
  }

  fail(text, field) {
    say(byId("status-error"), text);
    for (const name of ["game", "details"]) {
      const input = this.#form.elements[name];
      input.ariaInvalid = String(name === field);
      if (name === field) input.focus();
    }
  }

  #show() {
    const state = this.#form.elements.state.value;
    for (const part of this.#form.querySelectorAll("[data-states]")) part.hidden = !part.dataset.states.split(" ").includes(state);
  }

  async #set() {
    const { elements } = this.#form;
    const report = { state: elements.state.value };
    const game = elements.game.value.trim();
    const details = elements.details.value.trim();
    if (report.state === "PLAYING" && game !== "") {
      report.game_id = Number(game);
      if (!/^\d+$/.test(game) || report.game_id > MAX_GAME_ID) return this.fail("A game id is a whole number, such as 42. Leave it empty for none.", "game");
    }
    if (report.state !== "OFFLINE" && details !== "") report.details = details;
    if (await this.#report(report)) {
      keep("report", report);
      announce(report.state === "OFFLINE" ? "You are invisible" : `You are set to: ${doing(report)}`, "me");
    }
  }

  async #report(report) {
    try {
      const answer = await this.#emit(report);
      const isTaken = answer.status === "ok";
      this.fail(isTaken ? "" : `The server did not take this: ${answer.message}.`);
      return isTaken;
    } catch (problem) {
      this.fail(`Your status was not set. ${explain(problem)}`);
      return false;
    }
  }
}
