// The official clients, of any version, and what is the same for all of them.
import { createRequire } from "node:module";
import { later, options } from "./check.mjs";

export const { version, transports, url } = options;

const packages = { 2: "socket.io-client-v2", 3: "socket.io-client-v3", 4: "socket.io-client" };
const client = createRequire(import.meta.url)(packages[version]);
const io = client.io ?? client;

// dial makes a socket of a connection of its own. In version 2 what a client says of itself is its query.
export function dial({ way = url, namespace = "/", auth, ...more } = {}) {
  const socket = io(way + namespace, {
    forceNew: true,
    transports,
    auth,
    ...(version === 2 && auth && { query: auth }),
    reconnection: false,
    reconnectionDelay: 10,
    reconnectionDelayMax: 50,
    ...more,
  });
  later(() => {
    socket.io.reconnection(false);
    socket.disconnect();
    socket.io.engine?.close();
  });
  return socket;
}

// event resolves to the arguments of the next event of that name.
export function event(emitter, name) {
  return new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));
}

// ask emits with an acknowledgement and resolves to its arguments.
export function ask(socket, name, ...args) {
  return new Promise((resolve) => socket.emit(name, ...args, (...answer) => resolve(answer)));
}

// collect keeps the first arguments of all events of that name.
export function collect(socket, name) {
  const all = [];
  socket.on(name, (value) => all.push(value));
  return all;
}

const refusal = version === 2 ? "error" : "connect_error";

export async function connected(socket) {
  if (socket.connected) return socket;
  const refused = event(socket, refusal).then(([error]) => Promise.reject(error instanceof Error ? error : new Error(String(error))));
  refused.catch(() => {});
  await Promise.race([event(socket, "connect"), refused]);
  return socket;
}

// upgraded waits for the last of the transports.
export async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== transports.at(-1)) await event(engine, "upgrade");
  return socket;
}

export async function ready(more) {
  return upgraded(await connected(dial(more)));
}

// refused resolves to the message and the data of the error that a namespace is refused with. In version 2 a middleware's
// error has only the data.
export async function refused(socket) {
  const [error] = await event(socket, refusal);
  return { message: error.message, data: version === 2 ? error : error.data };
}

// plain makes all kinds of bytes the same.
export function plain(value) {
  if (value instanceof ArrayBuffer) return { bytes: Buffer.from(value).toString("hex") };
  if (ArrayBuffer.isView(value)) {
    return { bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex") };
  }
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, plain(v)]));
  }
  return value;
}
