// Checks of the Engine.IO protocol, of versions 3 and 4. The sessions they open send back what they are sent.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Socket, request } from "./raw.mjs";

const pingInterval = 300; // milliseconds
const pingTimeout = 200;
const maxPayload = 1_000_000;
const bytes = Buffer.from([1, 2, 3, 4]);
// arrived runs a check that has to know that a request has arrived at the server, of which nothing tells: in 5 ms it mostly has, and where the
// check fails it has more time.
async function arrived(run) {
  for (const milliseconds of [5, 50]) {
    try {
      return await run(() => sleep(milliseconds));
    } catch {
      // or it is wrong whatever time it has
    }
  }
  return run(() => sleep(pingInterval / 2)); // before it is answered by a ping
}


// What the versions have of their own: the payload of several packets, how bytes look in one, and as a frame.
const versions = {
  3: {
    payload: (...packets) => packets.map((packet) => `${packet.length}:${packet}`).join(""),
    packet: (payload) => payload.slice(payload.indexOf(":") + 1),
    encoded: `b4${bytes.toString("base64")}`,
    frame: Buffer.concat([Buffer.from([4]), bytes]),
  },
  4: {
    payload: (...packets) => packets.join("\x1e"),
    packet: (payload) => payload,
    encoded: `b${bytes.toString("base64")}`,
    frame: bytes,
  },
};

// Engine is where the server is, and what all requests have in common.
export class Engine {
  constructor(base, version) {
    this.base = base; // ends with a slash
    this.version = version;
    Object.assign(this, versions[version]);
  }

  url(query) {
    const present = Object.entries(query).filter(([, value]) => value !== undefined);
    return `${this.base}?${new URLSearchParams(present)}`;
  }

  socket(query) {
    return new Socket(this.url(query).replace("http", "ws"));
  }

  async open(query = {}) {
    const common = { EIO: this.version, transport: "polling", ...query };
    const { status, text } = await request(this.url(common));
    assert.equal(status, 200);
    const { sid } = JSON.parse(this.packet(text).slice(1));
    return new Session(this, common, sid);
  }

  openSocket() {
    return this.socket({ EIO: this.version, transport: "websocket" });
  }

  // checkOpen looks at the packet that opens a session.
  checkOpen(packet, upgrades) {
    assert.equal(packet[0], "0");
    const handshake = JSON.parse(packet.slice(1));
    if (this.version === 4) {
      assert.deepEqual(Object.keys(handshake).sort(), ["maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"]);
    }
    assert.equal(typeof handshake.sid, "string");
    assert.deepEqual(handshake.upgrades, upgrades);
    assert.equal(handshake.pingInterval, pingInterval);
    assert.equal(handshake.pingTimeout, pingTimeout);
    assert.equal(handshake.maxPayload ?? maxPayload, maxPayload); // it is new in version 4
  }
}

// Session is one that was opened by polling.
class Session {
  constructor(engine, query, sid) {
    this.engine = engine;
    this.url = engine.url({ ...query, sid });
    this.upgradeQuery = { EIO: engine.version, transport: "websocket", sid };
  }

  poll(more = "") {
    return request(this.url + more);
  }

  post(body) {
    return request(this.url, "POST", body);
  }

  // echoed sends a payload and polls for what comes back.
  async echoed(body) {
    const posted = await this.post(body);
    assert.equal(posted.status, 200);
    assert.equal(posted.text, "ok");
    const polled = await this.poll();
    assert.equal(polled.status, 200);
    return polled;
  }

  async gone() {
    assert.equal((await this.poll()).status, 400);
  }

  socket() {
    return this.engine.socket(this.upgradeQuery);
  }

  async probed() {
    const socket = this.socket();
    await socket.opened();
    socket.send("2probe");
    assert.equal(await socket.next(), "3probe");
    return socket;
  }
}

async function refused(engine, query, method = "GET") {
  assert.equal((await request(engine.url(query), method)).status, 400, `${method} ${JSON.stringify(query)}`);
}

// "If a mandatory query parameter is missing, then the server MUST respond with an HTTP 400 error status."
export async function handshakePolling(check, engine) {
  const { version: EIO } = engine;
  const polling = { EIO, transport: "polling" };
  await check("handshake, polling: opens a session", async () => {
    const { status, text } = await request(engine.url(polling));
    assert.equal(status, 200);
    if (EIO === 3) assert.equal(text, engine.payload(engine.packet(text)));
    engine.checkOpen(engine.packet(text), ["websocket"]);
  });
  if (EIO === 4) {
    await check("handshake, polling: refuses other versions", async () => {
      await refused(engine, { transport: "polling" });
      await refused(engine, { EIO: "abc", transport: "polling" });
    });
  }
  await check("handshake, polling: refuses unknown transports", async () => {
    await refused(engine, { EIO });
    await refused(engine, { EIO, transport: "abc" });
  });
  await check("handshake, polling: refuses other methods", async () => {
    await refused(engine, polling, "POST");
    if (EIO === 4) await refused(engine, polling, "PUT");
  });
}

// "If a mandatory query parameter is missing, then the server MUST close the WebSocket connection."
export async function handshakeWebSocket(check, engine, lenient) {
  const { version: EIO } = engine;
  await check("handshake, websocket: opens a session", async () => {
    engine.checkOpen(await engine.openSocket().next(), []);
  });
  await check("handshake, websocket: refuses other versions", async () => {
    for (const other of [undefined, "abc"]) {
      const socket = engine.socket({ EIO: other, transport: "websocket" });
      // The official server takes every version but 4 for 3, where it serves 3 at all.
      await (lenient ? Promise.race([socket.closed(), socket.next()]) : socket.closed());
    }
  });
  await check("handshake, websocket: refuses unknown transports", async () => {
    await engine.socket({ EIO }).closed();
    await engine.socket({ EIO, transport: "abc" }).closed();
  });
}

export async function messagePolling(check, engine, lenient) {
  const { payload, encoded, version } = engine;
  const base64 = version === 3 ? { b64: 1 } : {};
  await check("message, polling: one text", async () => {
    const session = await engine.open(base64);
    assert.equal((await session.echoed(payload("4hello"))).text, payload("4hello"));
  });
  await check("message, polling: several texts", async () => {
    const several = payload("4test1", "4test2", "4test3");
    const session = await engine.open(base64);
    assert.equal((await session.echoed(several)).text, several);
  });
  const mixed = payload("4hello", encoded);
  await check("message, polling: text and bytes, in base64", async () => {
    const session = await engine.open(base64);
    assert.equal((await session.echoed(mixed)).text, mixed);
  });
  if (version === 3) {
    await check("message, polling: text and bytes, as they are", async () => {
      const session = await engine.open();
      const text = [0, 6, 255, ...Buffer.from("4hello")]; // 0 for text, the digits of the length, 255
      const binary = [1, 5, 255, 4, ...bytes]; // 1 for bytes
      assert.deepEqual((await session.echoed(mixed)).bytes, Buffer.from([...text, ...binary]));
    });
  }
  await check("message, polling: an invalid packet ends the session", async () => {
    const session = await engine.open(base64);
    const posted = await session.post("abc").catch(() => null); // the connection may be cut instead
    if (posted && !lenient) assert.equal(posted.status, 400); // the official server says 200
    await session.gone();
  });
  // "a client MUST NOT have more than one active GET request. Should it happen, the server MUST return an HTTP 400
  // error status and close the session."
  await check("message, polling: a second poll ends the session", () =>
    arrived(async (soon) => {
      const session = await engine.open(base64);
      const first = session.poll();
      await soon();
      const second = await session.poll("&t=again");
      const { status, text } = await first;
      assert.equal(status, 200);
      assert.equal(text, payload("1"));
      assert.ok([400, 500].includes(second.status), `status ${second.status}`);
      await session.gone();
    }),
  );
  if (version === 4) {
    await check("message, polling: an aborted poll ends the session", () =>
      arrived(async (soon) => {
        const session = await engine.open();
        const poll = session.poll();
        await soon();
        poll.abort();
        await session.gone();
      }),
    );
  }
}

export async function messageWebSocket(check, engine) {
  await check("message, websocket: text", async () => {
    const socket = engine.openSocket();
    await socket.opened();
    await socket.next();
    socket.send("4hello");
    assert.equal(await socket.next(), "4hello");
  });
  await check("message, websocket: bytes", async () => {
    const socket = engine.openSocket();
    await socket.next();
    socket.send(engine.frame);
    assert.deepEqual(await socket.next(), engine.frame);
  });
  await check("message, websocket: an invalid packet ends the session", async () => {
    const socket = engine.openSocket();
    await socket.next();
    socket.send("abc");
    await socket.closed();
  });
}

// In version 4 the server asks, in version 3 the client does.
export async function heartbeatPolling(check, engine) {
  const { payload, version } = engine;
  await check("heartbeat, polling: pings and pongs", async () => {
    const session = await engine.open();
    for (let i = 0; i < 3; i++) {
      if (version === 3) assert.equal((await session.post(payload("2"))).status, 200);
      const { status, text } = await session.poll();
      assert.equal(status, 200);
      assert.equal(text, payload(version === 3 ? "3" : "2"));
      if (version === 4) assert.equal((await session.post(payload("3"))).status, 200);
    }
  });
  await check("heartbeat, polling: the session of a silent client ends", async () => {
    const session = await engine.open();
    await sleep(pingInterval + 3 * pingTimeout); // whatever else the machine has to do
    const { status } = version === 3 ? await session.post(payload("2")) : await session.poll();
    assert.equal(status, 400);
  });
}

export async function heartbeatWebSocket(check, engine) {
  const { version } = engine;
  await check("heartbeat, websocket: pings and pongs", async () => {
    const socket = engine.openSocket();
    await socket.next();
    for (let i = 0; i < 3; i++) {
      if (version === 3) socket.send("2");
      assert.equal(await socket.next(), version === 3 ? "3" : "2");
      if (version === 4) socket.send("3");
    }
  });
  await check("heartbeat, websocket: the session of a silent client ends", async () => {
    await engine.openSocket().closed();
  });
}

export async function close(check, engine) {
  const { payload } = engine;
  await check("close, polling: ends the session", async () => {
    const session = await engine.open();
    const poll = session.poll();
    await Promise.all([poll, session.post(payload("1"))]);
    const { status, text } = await poll;
    assert.equal(status, 200);
    assert.equal(text, payload("6"));
    await session.gone();
  });
  await check("close, websocket: ends the session", async () => {
    const socket = engine.openSocket();
    await socket.next();
    socket.send("1");
    await socket.closed();
  });
}

// echoes is whether the server sends messages back.
export async function upgrade(check, engine, echoes) {
  const works = async (socket) => {
    if (!echoes) return;
    socket.send("4hello");
    assert.equal(await socket.next(), "4hello");
  };
  await check("upgrade: from polling to websocket", async () => {
    const session = await engine.open();
    const socket = await session.probed();
    // "The server MUST send a noop packet to any pending GET request"
    const { status, text } = await session.poll();
    assert.equal(status, 200);
    assert.equal(text, engine.payload("6"));
    socket.send("5");
    await works(socket);
  });
  await check("upgrade: polls are refused after it", async () => {
    const session = await engine.open();
    const socket = await session.probed();
    socket.send("5");
    await session.gone();
    await works(socket);
  });
  // "A client MUST NOT open more than one WebSocket connection per session. Should it happen, the server MUST close the
  // WebSocket connection."
  await check("upgrade: another websocket is refused after it", async () => {
    const session = await engine.open();
    const socket = await session.probed();
    socket.send("5");
    const other = session.socket();
    await other.opened(); // it is the connection that is closed, not the handshake that fails
    await other.closed();
    await works(socket);
  });
}
