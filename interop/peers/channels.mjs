// Uses the channels of baro serve over /ws, with ws for Node.js, and over Socket.IO, with the official client. Options: url.
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { check, later, main, options } from "./socketio/check.mjs";

const url = options.url.replace(/\/$/, "");

// wsClient is a client of /ws.
async function wsClient() {
  const socket = new WebSocket(url.replace("http", "ws") + "/ws");
  later(() => socket.terminate());
  const waiting = new Map();
  const handlers = {};
  let last = 0;
  const command = (name, members) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ id, [name]: members }));
    });
  const welcome = new Promise((resolve) => (handlers.connected = resolve));
  socket.on("message", (data) => {
    const { id, ok, error, ...push } = JSON.parse(data);
    if (id) {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      ok ? resolve(ok) : reject(Object.assign(new Error(error.message), error));
      return;
    }
    const [[name, body]] = Object.entries(push);
    handlers[name]?.(body);
  });
  const { client } = await welcome;
  return {
    id: client,
    cut: () => socket.terminate(),
    on: (name, handler) => (handlers[name] = handler),
    subscribe: (channel, o) => command("subscribe", { channel, ...o }),
    unsubscribe: (channel) => command("unsubscribe", { channel }),
    publish: (channel, data, o) =>
      command("publish", { channel, ...(Buffer.isBuffer(data) ? { base64: data.toString("base64") } : { json: data }), ...o }),
    presence: (channel) => command("presence", { channel }),
    history: (channel, o) => command("history", { channel, ...o }),
    onCall: (answer) =>
      (handlers.call = ({ id, method, data }) => {
        const { error, result } = answer(method, data);
        command("answer", error ? { call: id, error } : { call: id, data: result });
      }),
    content: ({ data, base64 }) => data ?? Buffer.from(base64, "base64"),
  };
}

// ioClient is a client of Socket.IO.
async function ioClient(transports) {
  const socket = io(url, { forceNew: true, transports, reconnection: false });
  later(() => socket.disconnect());
  await new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject));
  const ask = async (...args) => {
    const answer = await socket.emitWithAck(...args);
    if (answer?.error) throw Object.assign(new Error(answer.error.message), answer.error.data);
    return answer;
  };
  const me = "whoami/" + socket.id;
  await ask("subscribe", me);
  const { members } = await ask("presence", me);
  await ask("unsubscribe", me);
  return {
    id: members[0].client,
    cut: () => socket.io.engine.close(),
    on: (name, handler) => socket.on(name, handler),
    subscribe: (channel, o) => ask("subscribe", channel, o ?? {}),
    unsubscribe: (channel) => ask("unsubscribe", channel),
    publish: (channel, data, o) => ask("publish", channel, data, o ?? {}),
    presence: (channel) => ask("presence", channel),
    history: (channel, o) => ask("history", channel, o ?? {}),
    onCall: (answer) =>
      socket.on("call", ({ method, data }, ack) => {
        const { error, result } = answer(method, data);
        ack(error ? { error } : result);
      }),
    content: ({ data }) => data,
  };
}

const kinds = {
  ws: wsClient,
  "Socket.IO": () => ioClient(["polling", "websocket"]),
  "Socket.IO by polling": () => ioClient(["polling"]),
};

// gather collects what an event brings; its next resolves when there is that much.
function gather(client, name) {
  const all = [];
  let enough = () => {};
  client.on(name, (body) => {
    all.push(body);
    enough();
  });
  return (n) => new Promise((resolve) => (enough = () => all.length >= n && resolve(all))(enough));
}

async function call(body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(url + "/api/v1/call", { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}

await main(async () => {
  for (const [kind, connect] of Object.entries(kinds)) {
    const channel = `room of ${kind}`;
    await check(`${kind}: publishes and receives`, async () => {
      const [a, b] = [await connect(), await connect()];
      const messages = gather(a, "message");
      await a.subscribe(channel);
      await b.publish(channel, { text: "안녕", n: [1.5, null] }, { event: "greeting", id: "m1" });
      await b.publish(channel, Buffer.from([0, 255]));
      const [first, second] = await messages(2);
      assert.deepEqual(JSON.parse(a.content(first)), { text: "안녕", n: [1.5, null] });
      assert.deepEqual([first.channel, first.event, first.id], [channel, "greeting", "m1"]);
      assert.deepEqual(Buffer.from(a.content(second)), Buffer.from([0, 255]));
      assert.equal(second.offset, first.offset + 1);
    });
    await check(`${kind}: comes back`, async () => {
      const a = await connect();
      const { next } = await a.subscribe(channel);
      a.cut();
      const b = await connect();
      for (let i = 0; i < 300; i++) await b.publish(channel, { i });
      const messages = gather(b, "message");
      await b.subscribe(channel, { after: next });
      assert.deepEqual((await messages(300)).map((m) => JSON.parse(b.content(m)).i), [...Array(300).keys()]);
    });
    await check(`${kind}: sees who is there`, async () => {
      const [a, b] = [await connect(), await connect()];
      const [present, joined, left] = ["present", "join", "leave"].map((name) => gather(a, name));
      await a.subscribe(channel, { presence: true });
      assert.equal((await present(1))[0].members.filter(({ client }) => client === a.id).length, 1);
      await b.subscribe(channel);
      assert.equal((await joined(1)).at(-1).client, b.id);
      assert.ok((await b.presence(channel)).members.some(({ client }) => client === b.id));
      await b.unsubscribe(channel);
      await left(1);
    });
    await check(`${kind}: reads history`, async () => {
      const a = await connect();
      const { messages, more } = await a.history(channel, { after: "oldest", limit: 2 });
      assert.equal(messages.length, 2);
      assert.equal(messages[1].base64, "AP8=");
      assert.ok(more);
    });
    await check(`${kind}: is told what is wrong`, async () => {
      const a = await connect();
      await assert.rejects(a.subscribe(""), { code: "invalid_name", number: 1500 });
      await assert.rejects(a.subscribe(channel, { after: "elsewhere:1" }), { code: "not_recoverable", number: 1507 });
    });
    await check(`${kind}: answers calls`, async () => {
      const a = await connect();
      a.onCall((method, data) => (method === "add" ? { result: data.a + data.b } : { error: { code: "unknown", message: "what?" } }));
      const answer = await call({ client: a.id, method: "add", data: { a: 1, b: 2 }, timeout: "8s" });
      assert.equal(answer.data, 3, JSON.stringify(answer));
      const { error } = await call({ client: a.id, method: "subtract", timeout: "8s" });
      assert.deepEqual([error.code, error.message], ["unknown", "what?"]);
    });
  }
});
