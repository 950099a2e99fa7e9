// Behind nginx, HAProxy and Caddy, as docs/deploy/ has them: each transport, who asks, streams, and a proxy that lets no WebSocket through.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { TRANSPORTS } from "./support/client.mjs";
import { Player } from "./support/player.mjs";
import { PROXIES, Proxy } from "./support/reverse-proxy.mjs";
import { serverTest } from "./support/server.mjs";
import { Reader } from "./support/stream.mjs";
import { DEADLINE_MS, within } from "./support/wait.mjs";

/** The proxies are here, and so is who comes without one; the rest of this machine's own network is the world. */
const behind = { env: { TRUSTED_PROXIES: "127.0.0.1" }, timeout: 60_000 };
const ELSEWHERE = "127.0.0.2";
/** What a client may say of itself. */
const LIE = "203.0.113.9";

/** How long Linux holds back what is not the whole of it. */
const KERNEL_WAITS_MS = 200;

/** The answer to a GET from another address. */
async function get(proxy, path, headers = {}) {
  const request = http.get(proxy.url + path, { headers, localAddress: ELSEWHERE, agent: false });
  const [response] = await within(DEADLINE_MS, `the answer to ${path}`, once(request, "response"));
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += piece;
  return { status: response.statusCode, text };
}

for (const name of Object.keys(PROXIES)) {
  serverTest(`${name}: each transport, and the upgrade`, behind, async (server, t) => {
    const proxy = await Proxy.start(t, name, server);
    const watcher = await Player.join(server, "carol");
    for (const [on, transports] of Object.entries(TRANSPORTS)) {
      const alice = await Player.join(proxy, "alice", { transports });
      if (transports.includes("websocket")) await alice.upgraded();
      assert.equal(alice.transport, transports.at(-1), on);
      const game_id = 1 + Object.keys(TRANSPORTS).indexOf(on);
      assert.equal((await alice.ask("set-activity", { state: "PLAYING", game_id })).status, "ok", on);
      for (const player of [alice, watcher]) assert.equal((await player.next("activity")).game_id, game_id, on);
      await alice.leave();
      assert.equal((await watcher.next("activity")).state, "OFFLINE", on);
    }
  });

  serverTest(`${name}: who asks is whom the proxy has seen`, behind, async (server, t) => {
    const proxy = await Proxy.start(t, name, server);
    const path = "/socket.io/?EIO=4&transport=polling";
    const wrong = await get(proxy, path, { "X-Api-Key": "0".repeat(64), "X-Forwarded-For": LIE });
    assert.equal(wrong.status, 401, wrong.text);
    await server.logged(/127\.0\.0\.2 is turned away: 401/);
    const agent = new http.Agent({ localAddress: ELSEWHERE });
    t.after(() => agent.destroy());
    for (const transports of [["polling"], ["websocket"]]) {
      const from = server.stderr.length;
      const alice = await Player.join(proxy, "alice", { transports, agent, extraHeaders: { "X-Api-Key": server.key("alice"), "X-Forwarded-For": LIE } });
      await server.logged(new RegExp(`on ${transports[0]} for 127\\.0\\.0\\.2\\b`), from);
      await alice.leave();
    }
    assert.doesNotMatch(server.stderr, /203\.0\.113\.9/);
  });

  serverTest(`${name}: what is whose`, behind, async (server, t) => {
    const proxy = await Proxy.start(t, name, server);
    for (const path of ["/", "/api/games", "/api/users/me", "/api/users/1", "/api/status", "/api/docs", "/socket.iox"]) {
      assert.deepEqual(await get(proxy, path), { status: 200, text: `GameVault: ${path}` });
    }
    const headers = { "X-Api-Key": server.key("alice") };
    for (const path of ["/api/activities", "/api/users/me/activity", "/api/users/1/activity"]) {
      assert.equal((await get(proxy, path)).status, 401, path);
      assert.equal((await get(proxy, path, headers)).status, 200, path);
    }
    // Whether there is something, Rollcall says.
    for (const path of ["/socket.io/", "/api/docs/async", "/api/docs/async-json", "/activities/"]) {
      assert.doesNotMatch((await get(proxy, path)).text, /GameVault/, path);
    }
  });

  serverTest(`${name}: a stream of server-sent events is not held back`, behind, async (server, t) => {
    const proxy = await Proxy.start(t, name, server);
    const reader = await Reader.open(proxy, { name: "alice" });
    assert.equal(reader.status, 200);
    assert.equal((await reader.next("the snapshot")).event, "activities");
    const bob = await Player.join(server, "bob");
    const took = [];
    for (const game_id of [1, 2, 3, 4, 5]) {
      const start = performance.now();
      bob.emit("set-activity", { state: "PLAYING", game_id });
      assert.equal((await reader.next(`the change to game ${game_id}`)).data.game_id, game_id);
      took.push(performance.now() - start);
    }
    // A kernel that was told to wait for more would do so each time.
    assert.ok(Math.min(...took) < KERNEL_WAITS_MS, `${took}`);
    reader.close();
  });

  serverTest(`${name}: where no WebSocket is let through, long-polling goes on`, behind, async (server, t) => {
    const proxy = await Proxy.start(t, name, server, { forbidden: true });
    const alice = new Player(proxy, "alice", { transports: TRANSPORTS.default, rememberUpgrade: false });
    const refused = new Promise((resolve) => alice.socket.io.engine.once("upgradeError", resolve));
    await alice.joined();
    await within(DEADLINE_MS, "the end of the upgrade", refused);
    const bob = await Player.join(proxy, "bob", { transports: ["polling"] });
    for (const state of ["ONLINE", "BUSY"]) {
      assert.equal((await alice.ask("set-activity", { state })).status, "ok");
      for (const player of [alice, bob]) assert.equal((await player.next("activity")).state, state);
    }
    assert.equal(alice.transport, "polling");
    assert.deepEqual(alice.all("disconnect"), []);
    const carol = new Player(proxy, "carol", { transports: ["websocket"], reconnection: false });
    assert.ok(await carol.next("connect_error"), "who insists is told");
  });
}
