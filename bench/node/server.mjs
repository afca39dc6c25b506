// The official Socket.IO server, on ws, as its documentation advises to set it up: ws has its native add-on where there
// is one, and the first request of a session is not kept. It speaks the command line of `bench serve`.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Server } from "socket.io";

const { values: flags } = parseArgs({
  args: process.argv.slice(2).map((arg) => arg.replace(/^-(?=\w)/, "--")),
  options: {
    role: { type: "string", default: "socketio" },
    listen: { type: "string", default: "127.0.0.1:0" },
    heartbeat: { type: "string", default: "25000" },
    broker: { type: "string" },
  },
  strict: false,
});
if (!["socketio", "socketio-room"].includes(flags.role)) {
  throw new Error(`no role ${flags.role}`);
}

const http = createServer();
const io = new Server(http, { pingInterval: Number(flags.heartbeat) });
if (flags.broker) {
  const [{ createAdapter }, { createClient }] = await Promise.all([import("@socket.io/redis-adapter"), import("redis")]);
  const publisher = createClient({ url: flags.broker });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}
io.engine.on("connection", (session) => {
  session.request = null;
});

const echo = (data, ack) => ack(data);
const publish = (data) => io.to("room").emit("message", data);

io.on("connection", (socket) => {
  socket.on("message", echo);
  if (flags.role === "socketio-room") {
    socket.join("room");
    socket.on("publish", publish);
  }
});

const [host, port] = flags.listen.split(":");
http.listen({ host, port: Number(port), backlog: 4096 }, () => {
  const { address, port } = http.address();
  console.log(`listening ${address}:${port}`);
});

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "free") {
      globalThis.gc?.();
      globalThis.gc?.();
      console.log("freed");
    }
  })
  .on("close", () => process.exit());
