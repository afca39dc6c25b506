// The official servers, with what the checks need of a server. See README.md.
import * as engine from "engine.io";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createServer as createStreamServer } from "node:net";
import { Duplex } from "node:stream";
import { Server } from "socket.io";
import parser from "socket.io-msgpack-parser";
import { emit, options, orders } from "../protocol.mjs";

const conformance = { pingInterval: 300, pingTimeout: 200, maxHttpBufferSize: 1_000_000 };

function echo(http, more) {
  const server = engine.attach(http, { ...conformance, ...more });
  server.on("connection", (session) => session.on("message", (data) => session.send(data)));
}

function socketio5(http) {
  const io = new Server(http, { ...conformance, connectTimeout: 1000 });
  io.on("connection", (socket) => {
    socket.emit("auth", socket.handshake.auth);
    socket.on("message", (...args) => socket.emit("message-back", ...args));
    socket.on("message-with-ack", (...args) => args.pop()(...args));
  });
  io.of("/custom").on("connection", (socket) => socket.emit("auth", socket.handshake.auth));
}

function clients(http) {
  const common = {
    pingInterval: 500,
    maxHttpBufferSize: 1 << 24,
    perMessageDeflate: { threshold: 1024 },
    allowEIO3: true,
    cookie: "io",
  };
  applications(new Server(http, common));
  applications(new Server(http, { ...common, path: "/msgpack/", parser }));
  applications(new Server(http, { ...common, path: "/recovery/", connectionStateRecovery: {} }));
}

function applications(io) {
  const application = (socket) => attach(socket);
  io.on("connection", application);
  io.of("/custom").on("connection", application);
  io.of(/^\/dynamic-\d+$/).on("connection", application);
  io.of("/private")
    .use((socket, next) => {
      const token = socket.handshake.auth.token ?? socket.handshake.query.token;
      next(token === "secret" ? undefined : Object.assign(new Error("not authorized"), { data: { code: "E_AUTH" } }));
    })
    .on("connection", application);
}

const reasons = new Map(); // of sockets that are gone
const asking = new Map(); // who waits for one
const notes = new Map(); // by their room

function attach(socket) {
  const io = socket.nsp;
  reasons.delete(socket.id); // it may have come back
  let next = 0; // the number to be counted
  let wrong = 0;
  const on = {
    whoami: (ack) =>
      ack({
        id: socket.id,
        namespace: io.name,
        auth: socket.handshake.auth,
        query: socket.handshake.query,
        transport: socket.conn.transport.name,
        protocol: socket.conn.protocol,
        recovered: socket.recovered,
        rooms: [...socket.rooms],
      }),
    echo: (...args) => socket.emit("echo", ...args),
    ack: (...args) => args.pop()(...args),
    silent: () => {},
    ask: (timeout, ...args) => {
      const ack = args.pop();
      socket.timeout(timeout).emit("question", ...args, (error, ...answers) => {
        error ? ack("timeout") : ack("answer", ...answers);
      });
    },
    send: ({ volatile, compress = true }, name, args) => {
      (volatile ? socket.volatile : socket).compress(compress).emit(name, ...args);
    },
    numbers: (from, to) => {
      for (let i = from; i < to; i++) socket.emit("number", i);
    },
    count: (i) => {
      if (i !== next) wrong++;
      next = i + 1;
    },
    counted: (ack) => ack({ next, wrong }),
    join: (room, ack) => (socket.join(room), ack()),
    leave: (room, ack) => (socket.leave(room), ack()),
    members: async (room, ack) => ack((await io.in(room).fetchSockets()).map(({ id }) => id)),
    publish: ({ to, except, others }, name, args, ack) => {
      let whom = others ? socket.broadcast : io;
      if (to) whom = whom.to(to);
      if (except) whom = whom.except(except);
      whom.emit(name, ...args);
      ack();
    },
    survey: (room, timeout, ack) => {
      io.to(room)
        .timeout(timeout)
        .emit("question", (error, answers) => ack(error ? "timeout" : "answer", answers));
    },
    header: (name, ack) => ack(socket.handshake.headers[name.toLowerCase()] ?? ""),
    note: (room, i, ack) => {
      if (!notes.has(room)) notes.set(room, []);
      io.to(room).emit("noted", notes.get(room).push(i) - 1);
      ack();
    },
    notes: (room, ack) => ack(notes.get(room) ?? []),
    hangup: () => socket.conn.close(),
    kick: (close) => socket.disconnect(close),
    reason: (id, ack) => (reasons.has(id) ? ack(reasons.get(id)) : asking.set(id, ack)),
  };
  for (const [name, handle] of Object.entries(on)) socket.on(name, handle);
  socket.on("disconnect", (reason) => {
    reasons.set(socket.id, reason);
    asking.get(socket.id)?.(reason);
  });
}

// webtransport gives the engine a session of WebTransport for each connection, which is the only stream of that. HTTP/3 is not done here.
async function webtransport(http) {
  const io = new Server(http, {
    pingInterval: 500,
    maxHttpBufferSize: 1 << 24,
    transports: ["polling", "websocket", "webtransport"],
  });
  applications(io);
  const streams = createStreamServer((connection) => {
    connection.on("error", () => {});
    io.engine.onWebTransportSession({
      closed: new Promise((resolve) => connection.once("close", resolve)),
      incomingBidirectionalStreams: new ReadableStream({ start: (all) => all.enqueue(Duplex.toWeb(connection)) }),
      close: () => setTimeout(() => connection.destroySoon(), 50), // what the engine has written is on its way through its streams
    });
  });
  await new Promise((resolve) => streams.listen(0, "127.0.0.1", resolve));
  return { streams: `127.0.0.1:${streams.address().port}` };
}

const roles = {
  webtransport,
  engineio3: (http) => echo(http, { allowEIO3: true }),
  engineio4: (http) => echo(http),
  echo: (http) => echo(http, { pingTimeout: 20_000, maxHttpBufferSize: 10_000 }),
  socketio5,
  clients,
};

const files = options.cert && { cert: readFileSync(options.cert), key: readFileSync(options.key) };
const http = files ? createSecureServer(files) : createServer();
const more = await roles[options.role](http);
const scheme = files ? "https" : "http";
http.listen(0, "127.0.0.1", () => emit("listening", { url: `${scheme}://127.0.0.1:${http.address().port}`, ...more }));
await orders(() => {});
