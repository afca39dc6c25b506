// One end of a connection, made with ws for Node.js. See README.md.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTLSServer } from "node:https";
import { WebSocket, WebSocketServer } from "ws";
import { emit, options, orders } from "./protocol.mjs";

const PING = "are you there?";
let socket;

function perMessageDeflate() {
  const { deflate, role } = options;
  if (!deflate) return false;
  const [own, peers] = role === "client" ? ["client", "server"] : ["server", "client"];
  const params = { threshold: 0 };
  if (!deflate.takeover) Object.assign(params, { clientNoContextTakeover: true, serverNoContextTakeover: true });
  if (deflate.bits) params[`${own}MaxWindowBits`] = deflate.bits;
  if (deflate.peerBits) params[`${peers}MaxWindowBits`] = deflate.peerBits;
  return params;
}

function attach(ws) {
  socket = ws;
  ws.on("message", (data, binary) => {
    emit("message", { kind: binary ? "binary" : "text", data: data.toString("base64") });
  });
  ws.on("pong", (data) => {
    if (data.toString() === PING) emit("pong");
  });
  ws.on("close", (code, reason) => emit("close", { code, reason: reason.toString() }));
  ws.on("error", (error) => emit("error", { message: error.message }));
}

function connect() {
  const ws = new WebSocket(options.url, options.subprotocols ?? [], {
    perMessageDeflate: perMessageDeflate(),
    ca: options.ca && readFileSync(options.ca),
  });
  let extensions = "";
  ws.on("upgrade", (response) => (extensions = response.headers["sec-websocket-extensions"] ?? ""));
  ws.on("unexpected-response", (_, response) => emit("refused", { status: response.statusCode }));
  ws.on("open", () => emit("open", { subprotocol: ws.protocol, extensions }));
  attach(ws);
}

function listen() {
  const { cert, key, subprotocols } = options;
  const http = cert ? createTLSServer({ cert: readFileSync(cert), key: readFileSync(key) }) : createServer();
  const server = new WebSocketServer({
    server: http,
    perMessageDeflate: perMessageDeflate(),
    handleProtocols: (offered) => subprotocols?.find((name) => offered.has(name)) ?? false,
  });
  let extensions = "";
  server.on("headers", (lines) => {
    const name = "Sec-WebSocket-Extensions: ";
    extensions = lines.find((line) => line.startsWith(name))?.slice(name.length) ?? "";
  });
  server.on("connection", (ws) => {
    attach(ws);
    emit("open", { subprotocol: ws.protocol, extensions });
  });
  http.listen(0, "127.0.0.1", () => {
    emit("listening", { url: `${cert ? "wss" : "ws"}://127.0.0.1:${http.address().port}/` });
  });
}

function send({ kind, parts }) {
  parts.forEach((part, i) => {
    socket.send(Buffer.from(part, "base64"), { binary: kind === "binary", fin: i === parts.length - 1 });
  });
}

options.role === "client" ? connect() : listen();

await orders((order) => {
  switch (order.order) {
    case "send":
      return send(order);
    case "ping":
      return socket.ping(PING);
    case "close":
      return socket.close(order.code, order.reason);
  }
});
