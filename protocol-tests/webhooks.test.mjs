// The receiver that docs/webhooks.md shows, with the real program and the official client, and with liars.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { io } from "socket.io-client";
import { Server, binaryWithWebhooks } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

const page = fs.readFileSync(new URL("../docs/webhooks.md", import.meta.url), "utf8");
const [, example] = /```js\n([\s\S]*?)```/.exec(page);

const key = randomBytes(32);
const secret = `whsec_${key.toString("base64")}`;

/** The receiver, and a way to wait until it has printed something. */
async function receiver(t) {
  const env = { PATH: process.env.PATH, WEBHOOK_SECRET: secret, PORT: "0" };
  const child = spawn(process.execPath, ["--input-type=module", "--eval", example], { env, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill());
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (printed += text));
  const prints = async (pattern) => {
    while (!pattern.test(printed)) await within(10_000, `${pattern} after ${printed}`, once(child.stdout, "data"));
    return pattern.exec(printed);
  };
  const [, port] = await prints(/^listening on port (\d+)$/m);
  return { url: `http://127.0.0.1:${port}/`, prints };
}

test("the receiver hears of what the official client does", { timeout: 30_000 }, async (t) => {
  const { url, prints } = await receiver(t);
  const env = { WEBHOOK_URL: url, WEBHOOK_SECRET: secret };
  const server = await Server.start({ env, program: binaryWithWebhooks });
  t.after(() => server.remove());
  const socket = io(server.url, { extraHeaders: { "X-Api-Key": server.key("alice") } });
  t.after(() => socket.close());
  assert.equal((await socket.timeout(5000).emitWithAck("set-activity", { state: "PLAYING", game_id: 42 })).status, "ok");
  await prints(/^user 1: PLAYING 42$/m);
  socket.close();
  await prints(/^user 1: OFFLINE/m);
  await server.finish();
});

test("the receiver believes nobody else", { timeout: 30_000 }, async (t) => {
  const { url } = await receiver(t);
  const body = JSON.stringify({ user_id: 1, state: "ONLINE" });
  const now = Math.floor(Date.now() / 1000);
  const sign = (timestamp, by = key) => createHmac("sha256", by).update(`1-1.${timestamp}.${body}`).digest("base64");
  const post = async (text, headers) => (await fetch(url, { method: "POST", body: text, headers })).status;
  const headers = (timestamp, signature) => ({ "webhook-id": "1-1", "webhook-timestamp": `${timestamp}`, "webhook-signature": `v1,${signature}` });

  assert.equal(await post(body, headers(now, sign(now))), 204);
  assert.equal(await post(body, {}), 401, "not signed");
  assert.equal(await post(body.replace("1", "2"), headers(now, sign(now))), 401, "another body");
  assert.equal(await post(body, { ...headers(now, sign(now)), "webhook-id": "1-2" }), 401, "another id");
  assert.equal(await post(body, headers(now, sign(now - 1))), 401, "another time");
  assert.equal(await post(body, headers(now - 301, sign(now - 301))), 401, "too late");
  assert.equal(await post(body, headers("x", sign("x"))), 401, "no time");
  assert.equal(await post(body, headers(now, sign(now, randomBytes(32)))), 401, "another key");
});

test("a target that never answers and a request that never ends keep the server five seconds at most", { timeout: 30_000 }, async (t) => {
  const target = net.createServer((connection) => connection.on("error", () => {}).resume()).listen(0, "127.0.0.1");
  t.after(() => target.close());
  await once(target, "listening");
  const asked = once(target, "connection");
  const env = { WEBHOOK_URL: `http://127.0.0.1:${target.address().port}/` };
  const server = await Server.start({ env, program: binaryWithWebhooks });
  t.after(() => server.remove());
  const url = `${server.url}/api/users/me/activity`;
  const headers = { "x-api-key": server.key("alice") };
  assert.equal((await fetch(url, { method: "PUT", headers, body: '{"state":"ONLINE","ttl_seconds":60}' })).status, 200);
  const [stuck] = await asked;
  const half = net.connect(server.port, "127.0.0.1").on("error", () => {});
  t.after(() => [stuck, half].forEach((connection) => connection.destroy()));
  await once(half, "connect");
  half.write("GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: ");
  // What was sent before has been read by the time that this is answered.
  assert.equal((await fetch(`${server.url}/api/status`, { headers })).status, 200);
  await server.stop();
});
