// A reverse proxy that passes everything on, but for what it is told to do wrong.

import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** What a proxy of the worst kind shows. */
export const HTML = "<!doctype html><title>Welcome to nginx!</title><h1>Welcome to nginx!</h1>";

/** A server of this test's, on a port of the kernel's choice; it is closed with the test. */
export async function listen(t, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections?.();
    server.close();
  });
  return server.address().port;
}

/**
 * The faults, each optional:
 * `target(request)`: to which port; `rewrite(url)`: the path that goes on; `headers(headers)`: the headers that do;
 * `answer(request, response)`: true, if it has answered itself; `edit(headers)`: the headers of the answer;
 * `hold(request)`: for how many ms an answer is kept back, and only then as a whole;
 * `upgrade`: "pass", "strip" (goes on as a plain request), or a function that gets request and socket.
 */
export function proxy(t, port, faults = {}) {
  const { rewrite = (url) => url, answer = () => false, edit = () => {}, hold, upgrade = "pass" } = faults;
  const target = faults.target ?? (() => port);
  const sent = (request) => {
    const headers = { ...request.headers };
    faults.headers?.(headers, request);
    return { host: "127.0.0.1", port: target(request), method: request.method, path: rewrite(request.url), headers };
  };

  const pass = (request, response, options = sent(request)) => {
    if (answer(request, response)) return;
    const forward = http.request(options, async (answered) => {
      const headers = { ...answered.headers };
      edit(headers, request);
      if (response.headersSent) return;
      const delay = hold?.(request);
      if (delay === undefined) {
        response.writeHead(answered.statusCode, headers);
        answered.pipe(response);
        return;
      }
      const pieces = [];
      try {
        for await (const piece of answered) pieces.push(piece);
      } catch {
        return; // whoever asked did not wait
      }
      await pause(delay, undefined, { ref: false });
      response.writeHead(answered.statusCode, headers).end(Buffer.concat(pieces));
    });
    forward.on("error", () => response.destroy());
    response.on("close", () => forward.destroy());
    request.pipe(forward);
  };
  const server = http.createServer(pass);
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => {});
    if (typeof upgrade === "function") return upgrade(request, socket);
    const { headers, method, path, port } = sent(request);
    if (upgrade === "strip") {
      delete headers.upgrade;
      headers.connection = "close";
    }
    const forward = net.connect(port, "127.0.0.1");
    forward.on("error", () => socket.destroy());
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    forward.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    forward.write(head);
    forward.pipe(socket).pipe(forward);
  });
  return listen(t, server).then((own) => `http://127.0.0.1:${own}`);
}
