// What checks on a page are made of. The page has from its opener: emit, which tells of a check, and those that do something to
// the way to the server.
const options = Object.fromEntries(new URLSearchParams(location.search));
const transports = options.transports.split(",");
const patience = 15_000; // milliseconds, for one check
let undo = [];

addEventListener("error", ({ message }) => emit("error", { message: `${options.name}: ${message}` }));

async function check(name, run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, patience, new Error(`not done within ${patience} ms`));
  });
  let message = "";
  try {
    await Promise.race([run(), late]);
  } catch (error) {
    message = `${error.message ?? error}\n${error.stack ?? ""}`;
  }
  clearTimeout(timer);
  for (const f of undo.reverse()) f();
  undo = [];
  await emit("check", { name: `${options.name}/${name}`, message });
}

function equal(got, want) {
  const [a, b] = [JSON.stringify(plain(got)), JSON.stringify(plain(want))];
  if (a !== b) throw new Error(`got ${a.slice(0, 500)}, want ${b.slice(0, 500)}`);
}

// plain makes all kinds of bytes the same.
function plain(value) {
  if (value instanceof ArrayBuffer) value = new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return { bytes: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)].join() };
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, plain(v)]).sort());
  }
  return value;
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const event = (emitter, name) => new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));
const ask = (socket, name, ...args) => new Promise((resolve) => socket.emit(name, ...args, (...answer) => resolve(answer)));

function collect(socket, name) {
  const all = [];
  socket.on(name, (value) => all.push(value));
  return all;
}

// hash is that of the server's certificate, which nobody vouches for.
const hash = transports.includes("webtransport") && fetch("/hash").then((answer) => answer.json());

// dial makes a socket of a connection of its own, to where the page came from unless to says where.
async function dial({ to = "", namespace = "/", auth, ...more } = {}) {
  const socket = io(to + namespace, {
    path: options.path,
    forceNew: true,
    transports,
    auth,
    reconnection: false,
    reconnectionDelay: 10,
    reconnectionDelayMax: 50,
    forceJSONP: options.jsonp === "true",
    ...(hash && {
      transportOptions: { webtransport: { serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(await hash) }] } },
    }),
    ...more,
  });
  undo.push(() => {
    socket.io.reconnection(false);
    socket.disconnect();
    socket.io.engine?.close();
  });
  return socket;
}

async function connected(socket) {
  if (socket.connected) return socket;
  const refused = event(socket, options.version === "2" ? "error" : "connect_error").then(([error]) => {
    throw new Error(error.message ?? error);
  });
  refused.catch(() => {});
  await Promise.race([event(socket, "connect"), refused]);
  return socket;
}

// upgraded waits for the last of the transports.
async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== transports.at(-1)) await event(engine, "upgrade");
  return socket;
}

const ready = async (more) => upgraded(await connected(await dial(more)));
