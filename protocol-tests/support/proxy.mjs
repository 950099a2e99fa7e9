// A reverse proxy in front of a server, as good or as bad with WebSockets as a test wants it.

import http from "node:http";
import net from "node:net";
import { once } from "node:events";

/**
 * Its URL. `websockets` are passed, or blocked as by a proxy that knows nothing of them, or cut when they have been used for a moment.
 * A `prefix` is taken off what is asked for; what does not begin with it is answered 404.
 */
export async function proxyFor(server, { websockets = "pass", prefix = "" } = {}) {
  const sockets = new Set();
  const target = (url) => (url.startsWith(`${prefix}/`) ? url.slice(prefix.length) : undefined);
  const proxy = http.createServer((request, response) => {
    const path = target(request.url);
    if (!path) return response.writeHead(404, { "Content-Type": "text/html" }).end("<h1>Not here</h1>");
    const { connection, upgrade, ...headers } = request.headers;
    const passed = http.request({ host: "127.0.0.1", port: server.port, method: request.method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    passed.on("error", () => response.headersSent || response.writeHead(502, { "Content-Type": "text/html" }).end("<h1>Bad gateway</h1>"));
    response.on("close", () => passed.destroy());
    request.pipe(passed);
  });
  if (websockets !== "block") {
    proxy.on("upgrade", (request, client, head) => {
      const passed = net.connect(server.port, "127.0.0.1");
      const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      passed.write(`GET ${target(request.url)} HTTP/1.1\r\n${lines.join("")}\r\n`);
      passed.write(head);
      passed.pipe(client);
      client.pipe(passed);
      let count = 0;
      client.on("data", () => {
        count += 1;
        if (websockets === "cut" && count === 2) passed.destroy();
      });
      for (const [one, other] of [[client, passed], [passed, client]]) {
        one.on("error", () => {});
        one.on("close", () => other.destroy());
      }
    });
  }
  proxy.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  server.adopt(() => {
    proxy.close();
    sockets.forEach((socket) => socket.destroy());
  });
  return `http://127.0.0.1:${proxy.address().port}${prefix}/`;
}
