// The JavaScript client, served from the folder that CLIENT_BUNDLE_DIR names as the official server serves its own.

import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";
import { ask, assertEmpty } from "./support/polling.mjs";
import { httpRequest } from "./support/raw.mjs";
import { serverTest } from "./support/server.mjs";
import { until, within, DEADLINE_MS } from "./support/wait.mjs";

const PACKAGE = fileURLToPath(new URL("node_modules/socket.io-client", import.meta.url));
const DIST = path.join(PACKAGE, "dist");
const { version } = JSON.parse(fs.readFileSync(path.join(PACKAGE, "package.json"), "utf8"));
const ETAG = `"${version}"`;
const NAMES = ["socket.io", "socket.io.min", "socket.io.esm.min", "socket.io.msgpack.min"].flatMap((name) => [`${name}.js`, `${name}.js.map`]);
const DECODE = { gzip: zlib.gunzipSync, deflate: zlib.inflateSync };
const SERVED = { env: { CLIENT_BUNDLE_DIR: DIST } };

const read = (name) => fs.readFileSync(path.join(DIST, name));
const get = (server, name, headers = {}, method = "GET") => ask(server, { method, path: `/socket.io/${name}`, headers });

/** It is the file of this name, compressed as expected; `undefined`: not at all. */
function assertIsFile(answer, name, coding) {
  const { status, headers, bytes } = answer;
  assert.equal(status, 200, name);
  assert.equal(headers["content-type"], `application/${name.endsWith(".map") ? "json" : "javascript"}; charset=utf-8`);
  assert.equal(headers.etag, ETAG);
  assert.equal(headers["cache-control"], "public, max-age=0");
  assert.equal(headers["access-control-allow-origin"], "*");
  assert.equal(headers["content-length"], String(bytes.length));
  assert.equal(headers["content-encoding"], coding);
  assert.equal(headers.vary, coding && "Accept-Encoding");
  assert.ok((coding ? DECODE[coding](bytes) : bytes).equals(read(name)), `${name} is not what is in the package`);
  if (coding) assert.ok(bytes.length < read(name).length / 2, `${bytes.length} bytes`);
}

serverTest("every file, without a key, plain and compressed, the first time and again", SERVED, async (server) => {
  assert.deepEqual(fs.readdirSync(DIST).sort(), [...NAMES].sort(), "the package has other files than we know");
  for (const name of NAMES) {
    for (const _time of [1, 2]) {
      assertIsFile(await get(server, name), name);
      for (const coding of ["gzip", "deflate"]) assertIsFile(await get(server, name, { "Accept-Encoding": coding }), name, coding);
    }
  }
});

serverTest("what a browser accepts, and what not", SERVED, async (server) => {
  for (const [accepted, coding] of [["gzip, deflate, br, zstd", "gzip"], ["br", undefined], ["identity", undefined], ["gzip;q=0, deflate;q=0.1", "deflate"], ["*", "gzip"]]) {
    assertIsFile(await get(server, "socket.io.min.js?v=1&t=abc", { "Accept-Encoding": accepted }), "socket.io.min.js", coding);
  }
});

serverTest("HEAD says what GET would, and other methods get 405", SERVED, async (server) => {
  for (const headers of [{}, { "Accept-Encoding": "gzip" }]) {
    const [{ headers: of }, { headers: expected }] = [await get(server, "socket.io.js", headers, "HEAD"), await get(server, "socket.io.js", headers)];
    delete of.date;
    delete expected.date;
    assert.deepEqual(of, expected);
  }
  assertEmpty(await get(server, "socket.io.js", {}, "HEAD"), 200);
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    const answer = await get(server, "socket.io.js", { "If-None-Match": "*" }, method);
    assertEmpty(answer, 405);
    assert.equal(answer.headers.allow, "GET, HEAD");
  }
});

serverTest("a page of another origin may load it, after a preflight too", { env: { ...SERVED.env, SERVER_CORS_ALLOWED_ORIGINS: "https://games.example" } }, async (server) => {
  const origin = { Origin: "https://games.example" };
  const preflight = await get(server, "socket.io.js", { ...origin, "Access-Control-Request-Method": "GET" }, "OPTIONS");
  assertEmpty(preflight, 204);
  const answer = await get(server, "socket.io.js", { ...origin, "Accept-Encoding": "gzip" });
  for (const { headers } of [preflight, answer]) assert.equal(headers["access-control-allow-origin"], origin.Origin);
  assert.deepEqual(answer.headers.vary.split(", ").sort(), ["Accept-Encoding", "Origin"]);
  assert.equal((await get(server, "socket.io.js", { Origin: "https://other.example" })).headers["access-control-allow-origin"], undefined);
});

serverTest("304 for who has this version, and only then", SERVED, async (server) => {
  for (const known of [ETAG, `W/${ETAG}`, "*", `"1.0.0", ${ETAG}`, `"1.0.0" ,W/${ETAG},"2"`, `,, ${ETAG}`]) {
    for (const method of ["GET", "HEAD"]) {
      const answer = await get(server, "socket.io.js", { "If-None-Match": known, "Accept-Encoding": "gzip" }, method);
      assertEmpty(answer, 304);
      const { etag, "cache-control": cache, "access-control-allow-origin": allowed, "content-encoding": coding, "content-type": type } = answer.headers;
      assert.deepEqual([etag, cache, allowed, coding, type], [ETAG, "public, max-age=0", "*", undefined, undefined], known);
    }
  }
  for (const other of ["", version, '"1.0.0"', `w/${ETAG}`, `W/W/${ETAG}`, `"${version}`, `"x${version}"`, `${ETAG}x`, '"*"', ","]) {
    assertIsFile(await get(server, "socket.io.js", { "If-None-Match": other }), "socket.io.js");
  }
});

serverTest("nothing else has a name there", SERVED, async (server) => {
  const elsewhere = await ask(server, { path: "/nothing" });
  assert.equal(elsewhere.status, 404);
  const names = [
    "../package.json", "%2e%2e/package.json", "..%2fpackage.json", "socket.io.js/../../package.json", "./socket.io.js", "/socket.io.js", "socket.io.js/", "socket.io%2ejs", "socket.io.js%00",
    "SOCKET.IO.JS", "socket.io", "socket.io.js.gz", "socket.io.msgpack.js", "socket.io.esm.js", "socket.io.min.map", "index.js", "package.json", PACKAGE, path.join(DIST, "socket.io.js"),
  ];
  for (const name of names) {
    const answer = await get(server, name);
    assert.deepEqual([answer.status, answer.body], [404, elsewhere.body], name);
  }
  for (const other of ["/socket.io.js", "/socket.iosocket.io.js", "/api/socket.io.js"]) assert.equal((await ask(server, { path: other })).status, 404, other);
  assert.equal((await get(server, "?EIO=4&transport=polling")).status, 401, "the endpoint is still there");
});

for (const [without, env] of [["the setting", {}], ["activities", { ...SERVED.env, SERVER_ONLINE_ACTIVITIES_DISABLED: "true" }]]) {
  serverTest(`without ${without}: 404`, { env }, async (server) => {
    for (const name of NAMES) assert.equal((await get(server, name, { "If-None-Match": "*" })).status, 404, name);
  });
}

serverTest("without compression", { env: { ...SERVED.env, ENGINE_COMPRESSION: "off" } }, async (server) => {
  assertIsFile(await get(server, "socket.io.js", { "Accept-Encoding": "gzip" }), "socket.io.js");
});

serverTest("what is served is of the time of the start, until the next", {}, async (server) => {
  const dist = path.join(server.folder, "node_modules/socket.io-client/dist");
  const again = async () => {
    await server.stop();
    await server.startAgain();
  };
  fs.cpSync(DIST, dist, { recursive: true });
  fs.writeFileSync(path.join(dist, "../package.json"), JSON.stringify({ version }));
  server.set("CLIENT_BUNDLE_DIR", "node_modules/socket.io-client/dist");
  await again();
  fs.writeFileSync(path.join(dist, "../package.json"), JSON.stringify({ version: "9.0.0-rc.1+x" }));
  fs.rmSync(path.join(dist, "socket.io.js.map"));
  fs.writeFileSync(path.join(dist, "socket.io.js"), "new");
  for (const name of NAMES) assertIsFile(await get(server, name), name);
  await again();
  const { headers, body } = await get(server, "socket.io.js", { "If-None-Match": ETAG, "Accept-Encoding": "gzip" });
  assert.deepEqual([headers.etag, headers["content-encoding"], body], ['"9.0.0-rc.1+x"', undefined, "new"]);
  assert.equal((await get(server, "socket.io.js.map")).status, 404);
});

serverTest("many who ask for a large file and do not read cost no copies of it", SERVED, async (server) => {
  const name = "socket.io.js.map";
  const request = (coding) => httpRequest({ path: `/socket.io/${name}`, headers: { Connection: "keep-alive", "Accept-Encoding": coding } });
  assertIsFile(await get(server, name, { "Accept-Encoding": "gzip" }), name, "gzip");
  const before = server.memory();
  const sockets = await Promise.all(Array.from({ length: 200 }, async (_, index) => {
    const socket = net.connect({ port: server.port, host: "127.0.0.1" });
    server.adopt(() => socket.destroy());
    await within(DEADLINE_MS, "a connection", once(socket, "connect"));
    // More than the kernel keeps for a connection that nobody reads.
    socket.write(request(index % 2 ? "gzip" : "identity").repeat(20));
    return socket;
  }));
  // All are answered, as far as they take it.
  await Promise.all(sockets.map((socket) => within(20_000, "the first bytes", once(socket, "readable"))));
  assertIsFile(await get(server, name), name);
  const grown = server.memory() - before;
  assert.ok(grown < 20_000, `${grown} KiB for 200 connections, each of which a copy would cost 100 or 300`);
  for (const socket of sockets) socket.destroy();
  await until("the server to let go of them", (count) => count < 50, () => server.descriptors(), 10_000);
});
