// The proxies of docs/deploy/, with the very files that are there, between a client and a server of the test.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const docs = (name) => fileURLToPath(new URL(`../../docs/deploy/${name}`, import.meta.url));

/** How often another port is tried, should someone take it between its choice and its use. */
const TRIES = 3;
const START_MS = 10_000;

/** Where Debian has servers. */
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

/** Replaces what must be there once. */
function replaced(text, from, to) {
  assert.equal(text.split(from).length, 2, `${from} is there once`);
  return text.replace(from, to);
}

/** Replaces ports by those of the test. */
function withPorts(text, { port, rollcall, gamevault }, listen, listens) {
  let changed = replaced(text, listen, listens(port));
  changed = replaced(changed, "127.0.0.1:8090", `127.0.0.1:${rollcall}`);
  return replaced(changed, "127.0.0.1:8080", `127.0.0.1:${gamevault}`);
}

/** For each: the files that it is started with, made of the one in docs/deploy/, and its command. `forbid` lets no WebSocket through. */
export const PROXIES = {
  nginx: {
    source: "nginx.conf",
    forbid: (text) => replaced(text, "proxy_set_header Upgrade $http_upgrade;", ""),
    files: (text, folder, ports) => ({
      "rollcall.conf": withPorts(text, ports, "listen 80;", (port) => `listen 127.0.0.1:${port};`),
      // What /etc/nginx/nginx.conf is otherwise.
      "nginx.conf": `daemon off; master_process off; pid ${folder}/pid; error_log stderr; events {}
        http { access_log off; ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((it) => `${it}_temp_path ${folder}/${it};`).join(" ")}
        include ${folder}/rollcall.conf; }`,
    }),
    command: (folder) => ["nginx", "-e", "stderr", "-p", folder, "-c", `${folder}/nginx.conf`],
  },
  HAProxy: {
    source: "haproxy.cfg",
    forbid: (text) => replaced(text, "    acl rollcall path_beg", "    http-request deny if { hdr(Upgrade) -i websocket }\n    acl rollcall path_beg"),
    files: (text, folder, ports) => ({ "haproxy.cfg": withPorts(text, ports, "bind :80", (port) => `bind 127.0.0.1:${port}`) }),
    command: (folder) => ["haproxy", "-db", "-f", `${folder}/haproxy.cfg`],
  },
  Caddy: {
    source: "Caddyfile",
    forbid: (text) => replaced(text, "\thandle @rollcall {", "\t@websocket header Upgrade websocket\n\thandle @websocket {\n\t\trespond 403\n\t}\n\thandle @rollcall {"),
    // The first block is for what has nothing to do with the site.
    files: (text) => ({ Caddyfile: `{\n\tadmin off\n}\n${text}` }),
    env: (folder, { port, rollcall, gamevault }) => ({
      SITE: `http://127.0.0.1:${port}`,
      ROLLCALL: `127.0.0.1:${rollcall}`,
      GAMEVAULT: `127.0.0.1:${gamevault}`,
      HOME: folder,
    }),
    command: (folder) => ["caddy", "run", "--adapter", "caddyfile", "--config", `${folder}/Caddyfile`],
  },
};

// A test file that ends early takes its proxies with it.
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** A port that is free at this moment. */
async function freePort() {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

async function answers(port) {
  const socket = net.connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A proxy in front of `server` and of something that stands for GameVault, as clients see it that come from `address`. */
export class Proxy {
  #server;
  #child;
  #output = "";

  static async start(t, name, server, { forbidden = false } = {}) {
    const gamevault = http.createServer((request, response) => response.end(`GameVault: ${request.url}`)).listen(0, "127.0.0.1");
    await once(gamevault, "listening");
    t.after(() => {
      gamevault.close();
      gamevault.closeAllConnections();
    });
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rollcall-proxy-"));
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const proxy = new Proxy();
    proxy.#server = server;
    t.after(() => proxy.#stop());
    for (let left = TRIES; ; left--) {
      proxy.port = await freePort();
      const ports = { port: proxy.port, rollcall: server.port, gamevault: gamevault.address().port };
      if (await proxy.#run(PROXIES[name], folder, ports, forbidden)) return proxy;
      await proxy.#stop();
      assert.ok(left > 1, `${name} does not start: ${proxy.#output}`);
    }
  }

  /** Whether it comes to answer. */
  async #run({ source, forbid, files, env = () => ({}), command }, folder, ports, forbidden) {
    const text = fs.readFileSync(docs(source), "utf8");
    const made = files(forbidden ? forbid(text) : text, folder, ports);
    for (const [file, content] of Object.entries(made)) fs.writeFileSync(path.join(folder, file), content);
    const [program, ...args] = command(folder);
    const child = spawn(program, args, { cwd: folder, env: { PATH, ...env(folder, ports) }, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    running.add(child);
    let ended = false;
    child.once("error", (error) => {
      ended = true;
      this.#output += error.message;
    });
    child.once("close", () => {
      ended = true;
      running.delete(child);
    });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (said) => (this.#output += said));
    const start = performance.now();
    while (!ended && performance.now() - start < START_MS) {
      if (await answers(ports.port)) return !ended;
      // It tells nobody when it is ready.
      await pause(20);
    }
    return false;
  }

  async #stop() {
    const child = this.#child;
    if (!running.has(child)) return;
    const closed = once(child, "close");
    child.kill("SIGKILL");
    await closed;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  key(name) {
    return this.#server.key(name);
  }

  adopt(close) {
    this.#server.adopt(close);
  }
}
