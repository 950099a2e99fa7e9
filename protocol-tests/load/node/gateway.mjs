// The activity gateway on the official server, to be measured against: node gateway.mjs USERS_FILE
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Server } from "socket.io";

const { users } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const ids = new Map(users.map(({ api_key, id }) => [api_key, id]));
const known = new Map();

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http);
io.use((socket, next) => {
  socket.data.user_id = ids.get(socket.handshake.headers["x-api-key"]);
  next(socket.data.user_id === undefined ? new Error("unknown key") : undefined);
});
io.on("connection", (socket) => {
  socket.emit("activities", [...known.values()]);
  socket.on("set-activity", ({ state, game_id }, ack) => {
    const activity = { user_id: socket.data.user_id, socket_id: socket.id, state, game_id };
    known.set(activity.user_id, activity);
    io.emit("activity", activity);
    if (typeof ack === "function") ack(activity);
  });
});
http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`listening on http://127.0.0.1:${http.address().port}`);
});
