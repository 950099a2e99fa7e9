// TLS with the official client: over each transport and through the upgrade, and with another certificate meanwhile.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import { TRANSPORTS } from "./support/client.mjs";
import { Player } from "./support/player.mjs";
import { Server, binaryWithTls } from "./support/server.mjs";
import { within } from "./support/wait.mjs";

/** Makes a certificate for this machine; its text. */
function sign(folder, name) {
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name} -keyout server.key -out server.pem`;
  const extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
  execFileSync("openssl", [...words.split(" "), ...extensions], { cwd: folder, stdio: "pipe" });
  return fs.readFileSync(path.join(folder, "server.pem"), "utf8");
}

/** A server that speaks HTTPS, as clients see it that do. */
class Secured {
  static async start(t) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rollcall-tls-"));
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const certificate = sign(folder, "first");
    const files = { SERVER_HTTPS_CERT_PATH: path.join(folder, "server.pem"), SERVER_HTTPS_KEY_PATH: path.join(folder, "server.key") };
    const env = { SERVER_HTTPS_ENABLED: "true", SERVER_HTTPS_PORT: "0", ...files };
    const server = await Server.start({ env, program: binaryWithTls });
    t.after(() => server.remove());
    const line = /^Rollcall listening on https:\/\/127\.0\.0\.1:(\d+)$/m;
    await server.printed(line);
    return Object.assign(new Secured(), { folder, certificate, server, port: Number(line.exec(server.stdout)[1]) });
  }

  get url() {
    return `https://127.0.0.1:${this.port}`;
  }

  key(name) {
    return this.server.key(name);
  }

  adopt(close) {
    this.server.adopt(close);
  }

  /** The common name on the certificate that it shows. */
  async shows() {
    const socket = tls.connect({ port: this.port, host: "127.0.0.1", rejectUnauthorized: false });
    try {
      await within(5000, "a handshake", new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject)));
      return socket.getPeerCertificate().subject.CN;
    } finally {
      socket.destroy();
    }
  }
}

for (const [on, transports] of Object.entries(TRANSPORTS)) {
  test(`HTTPS, ${on}: a player among others`, { timeout: 30_000 }, async (t) => {
    const secured = await Secured.start(t);
    const alice = await Player.join(secured, "alice", { transports, ca: secured.certificate });
    // One who comes without TLS is among the same.
    const bob = await Player.join(secured.server, "bob");
    if (transports.includes("websocket")) await alice.upgraded();
    assert.equal(alice.transport, transports.at(-1));
    assert.equal((await alice.ask("set-activity", { state: "PLAYING", game_id: 42 })).status, "ok");
    for (const player of [alice, bob]) assert.equal((await player.next("activity")).game_id, 42);
    await bob.ask("set-activity", { state: "BUSY" });
    assert.equal((await alice.next("activity")).state, "BUSY");
    await alice.leave();
    assert.equal((await bob.next("activity", 5000)).state, "BUSY");
    assert.equal((await bob.next("activity", 5000)).state, "OFFLINE");
    await secured.server.finish();
  });
}

test("a client that does not know the certificate does not come in", { timeout: 30_000 }, async (t) => {
  const secured = await Secured.start(t);
  const stranger = new Player(secured, "alice", { reconnection: false });
  assert.match((await stranger.next("connect_error")).message, /websocket error/);
  await secured.server.finish();
});

test("another certificate on SIGHUP: who is connected goes on, who comes sees the new one", { timeout: 30_000 }, async (t) => {
  const secured = await Secured.start(t);
  const players = [];
  for (const [name, transports] of [["alice", ["websocket"]], ["bob", ["polling"]]]) {
    players.push(await Player.join(secured, name, { transports, rejectUnauthorized: false }));
  }
  assert.equal(await secured.shows(), "first");
  sign(secured.folder, "second");
  secured.server.signal("SIGHUP");
  await secured.server.logged(/the certificate was read again/);
  assert.equal(await secured.shows(), "second");
  await players[0].ask("set-activity", { state: "BUSY" });
  for (const player of players) {
    assert.equal((await player.next("activity")).state, "BUSY");
    assert.deepEqual(player.all("disconnect"), []);
  }
  await secured.server.finish();
});
