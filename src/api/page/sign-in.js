// The sign-in: a key, or a name and a password, for which the server answers the key.

import { byId, say } from "./dom.js";
import { explain, Problem, requestJson } from "./http.js";

const section = byId("sign-in");
/** The form that is shown, and its fields. */
const form = () => section.querySelector("form:not([hidden])");
const fields = () => [...form().querySelectorAll("input")];

/** The user whose key it is; a `Problem` if it is nobody's. */
export function userOf(key) {
  return requestJson("api/users/me", { headers: { "X-Api-Key": key } });
}

/** Shows the forms, with what happened before. `onuser(user, key)` is called when someone has signed in. */
export function showSignIn(onuser, message = "") {
  section.hidden = false;
  showForm();
  fail(message);
  section.onchange = ({ target }) => target.name === "by" && showForm();
  section.onsubmit = async (event) => {
    event.preventDefault();
    const button = form().querySelector("button");
    button.disabled = true;
    try {
      const { user, key } = await signIn();
      section.hidden = true;
      for (const form of section.querySelectorAll("form")) form.reset();
      onuser(user, key);
    } catch (problem) {
      fail(problem.field ? problem.message : words(problem), problem.field ?? fields()[0]);
    } finally {
      button.disabled = false;
    }
  };
}

/** Puts the focus where the visitor begins. */
export function focusSignIn() {
  fields()[0].focus();
}

/** By what one signs in: "key" or "password". */
const by = () => section.querySelector("[name=by]:checked").value;

function showForm() {
  for (const form of section.querySelectorAll("form")) form.hidden = form.dataset.by !== by();
  fail("");
}

function fail(text, field) {
  say(byId("sign-in-error"), text);
  for (const input of section.querySelectorAll("form input")) input.ariaInvalid = String(input === field);
  field?.focus();
}

/** Something that cannot be sent, and the field that it is in. */
function wrong(field, message) {
  return Object.assign(new Error(message), { field });
}

async function signIn() {
  if (by() === "key") {
    const [field] = fields();
    const key = field.value.trim();
    if (key === "") throw wrong(field, "Paste your API key here.");
    if (!/^[!-~]+$/.test(key)) throw wrong(field, "This is no API key: it has 64 letters and digits, and nothing else.");
    return { user: await userOf(key), key };
  }
  const [name, password] = fields();
  if (name.value === "") throw wrong(name, "Type your name.");
  if (name.value.includes(":")) throw wrong(name, "A name with a colon cannot be sent. Use your API key.");
  if (password.value === "") throw wrong(password, "Type your password.");
  const bytes = new TextEncoder().encode(`${name.value}:${password.value}`);
  const user = await requestJson("api/users/me", { headers: { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` } });
  if (!user.api_key) throw new Problem(403, "You have no API key, and without one nobody can be connected.");
  return { user, key: user.api_key };
}

function words(problem) {
  if (problem.status === 404) return "There is no Rollcall behind this page: the proxy in front of it does not pass /api on. Only who runs it can change that.";
  if (problem.status === 401 && by() === "key") return "Nobody has this key. Look at it again: it has 64 letters and digits, and a new one makes the old one void.";
  return explain(problem);
}
