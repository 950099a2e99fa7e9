// python-socketio, a client that nobody of the official ones' has made: into the gateway, and through all that the support server has.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TRANSPORTS } from "./support/client.mjs";
import { exampleTest } from "./support/example.mjs";
import { Player } from "./support/player.mjs";
import { python } from "./support/python.mjs";
import { NO_GRACE, serverTest } from "./support/server.mjs";

const SCRIPT = fileURLToPath(new URL("python_client.py", import.meta.url));

/** Runs the script, which must end well. */
const play = (server, ...args) => python(server, SCRIPT, ...args);

for (const [on, transports] of Object.entries(TRANSPORTS)) {
  serverTest(`python-socketio, ${on}: a player among others`, { ...NO_GRACE, timeout: 60_000 }, async (server) => {
    const alice = await Player.join(server, "alice");
    await alice.ask("set-activity", { state: "PLAYING", game_id: 42 });
    await alice.next("activity");
    const ended = play(server, "gateway", server.url, transports.join(), server.key("bob"));
    const meet = async () => {
      const { user_id, game_id } = await alice.next("activity", 30_000);
      assert.deepEqual({ user_id, game_id }, { user_id: server.id("bob"), game_id: 7 });
      await alice.ask("set-activity", { state: "BUSY" });
      await alice.next("activity");
    };
    await Promise.all([ended, meet()]);
    // It takes leave where it can do that reliably.
    if (transports.at(-1) === "polling") return;
    const { user_id, state } = await alice.next("activity");
    assert.deepEqual({ user_id, state }, { user_id: server.id("bob"), state: "OFFLINE" });
  });

  exampleTest("support-server", `python-socketio, ${on}: namespaces, acks, binary`, { RECOVERY: "0" }, (program) => play(program, "support", program.url, transports.join()));
}
