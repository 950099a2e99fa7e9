// REST is what its document says: schemathesis asks it all that the document allows, and much that it does not; and the document itself is OpenAPI 3.1.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { runPython } from "./support/python.mjs";
import { serverTest } from "./support/server.mjs";

/** Its command, in whichever Python has it. */
const SCHEMATHESIS = ["-c", "from schemathesis.cli import schemathesis; schemathesis()"];
const SEED = "1";

/** Lets schemathesis hold the server against a document. A stream has no end, so it is asked for nowhere. */
function contract(server, document, ...options) {
  const file = path.join(server.folder, "openapi.json");
  fs.writeFileSync(file, JSON.stringify(document));
  const args = ["run", file, "--url", server.url, "--header", `X-Api-Key: ${server.key("alice")}`, "--exclude-path", "/api/activities/stream"];
  const more = ["--seed", SEED, "--max-examples", "10", "--generation-database", "none", "--no-color"];
  return runPython(server, [...SCHEMATHESIS, ...args, ...more, ...options], { milliseconds: 110_000 });
}

const openapi = async (server) => (await fetch(`${server.url}/api/docs-json`)).json();

serverTest("the document is OpenAPI 3.1", {}, async (server) => {
  const check = "import json, sys; from openapi_spec_validator import OpenAPIV31SpecValidator; OpenAPIV31SpecValidator(json.load(sys.stdin)).validate()";
  const document = await openapi(server);
  const { code, output } = await runPython(server, ["-c", check], { input: JSON.stringify(document) });
  assert.equal(code, 0, output);
  // It would have noticed.
  delete document.paths["/api/users/{id}"].get.responses["200"].description;
  assert.notEqual((await runPython(server, ["-c", check], { input: JSON.stringify(document) })).code, 0);
});

serverTest("schemathesis finds nothing that is not as the document says", { timeout: 120_000 }, async (server) => {
  const document = await openapi(server);
  const { code, output } = await contract(server, document);
  assert.equal(code, 0, output);
  const [, selected, total] = /Selected: (\d+)\/(\d+)/.exec(output) ?? assert.fail(output);
  assert.equal(total - selected, 2, "all but GET and HEAD of the stream");
  assert.match(output, /\b[4-9]\d\d generated/, output);
});

serverTest("schemathesis notices what is not true", { timeout: 60_000 }, async (server) => {
  const document = await openapi(server);
  document.components.schemas.Offline.properties.state.const = "GONE";
  document.components.schemas.Activity.required.push("mood");
  delete document.paths["/api/users/{id}"].get.responses["404"];
  const { code, output } = await contract(server, document, "--phases", "coverage", "--include-path", "/api/users/me/activity", "--include-path", "/api/users/{id}");
  assert.equal(code, 1, output);
  for (const complaint of [/mood/, /Undocumented status code/]) assert.match(output, complaint);
});
