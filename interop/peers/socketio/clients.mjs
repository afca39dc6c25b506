// Checks a server with an official client. See README.md.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { check, main, options } from "./check.mjs";
import { ask, collect, connected, dial, event, plain, ready, refused, transports, upgraded, url, version } from "./dial.mjs";
import { ordered } from "./ordered.mjs";
import { recovery, reconnection } from "./recovery.mjs";
import { Way } from "./way.mjs";

const last = transports.at(-1);
const large = 1 << 20; // bytes

async function connection() {
  await check("connects", async () => {
    const socket = dial();
    assert.equal(socket.io.engine.transport.name, transports[0]);
    await upgraded(await connected(socket));
    const [me] = await ask(socket, "whoami");
    assert.equal(socket.io.engine.transport.name, last);
    assert.equal(me.transport, last);
    assert.equal(me.id, socket.id);
    assert.equal(me.protocol, version === 2 ? 3 : 4);
    assert.equal(me.namespace, "/");
    if (version > 2) assert.deepEqual(me.rooms, [socket.id]);
  });
  await check("says who it is", async () => {
    const socket = await ready({ auth: { token: "메세지" } });
    const [{ auth, query }] = await ask(socket, "whoami");
    assert.equal((version === 2 ? query : auth).token, "메세지");
  });
  if (version > 2) {
    await check("says who it is, when asked", async () => {
      const auth = (say) => say({ nested: { list: [1, null] } });
      const [me] = await ask(await ready({ auth }), "whoami");
      assert.deepEqual(me.auth, { nested: { list: [1, null] } });
    });
    await check("has a query", async () => {
      const [me] = await ask(await ready({ query: { a: "1 &=€" } }), "whoami");
      assert.equal(me.query.a, "1 &=€");
    });
  }
  await check("heartbeats", async () => {
    const socket = await ready();
    await new Promise((resolve) => {
      let beats = 0;
      socket.io.engine.on("packet", ({ type }) => {
        if (type === (version === 2 ? "pong" : "ping") && ++beats === 2) resolve();
      });
    });
    assert.deepEqual(await ask(socket, "ack", 1), [1]);
  });
  await check("is disconnected by the client", async () => {
    const [socket, other] = [await ready(), await ready()];
    const { id } = socket;
    const gone = event(socket, "disconnect");
    socket.disconnect();
    assert.equal((await gone)[0], "io client disconnect");
    // The packet, or the end of the connection behind it: whichever the server sees first.
    const [reason] = await ask(other, "reason", id);
    assert.ok(["client namespace disconnect", "transport close", "transport error"].includes(reason), reason);
  });
  for (const close of [false, true]) {
    await check(`is disconnected by the server${close ? ", with its connection" : ""}`, async () => {
      const [socket, other] = [await ready(), await ready()];
      const { id } = socket;
      const gone = event(socket, "disconnect");
      socket.emit("kick", close);
      assert.equal((await gone)[0], "io server disconnect");
      assert.deepEqual(await ask(other, "reason", id), ["server namespace disconnect"]);
    });
  }
}

async function namespaces() {
  await check("namespaces share a connection", async () => {
    const socket = await ready();
    const custom = await connected(socket.io.socket("/custom"));
    const wild = await connected(socket.io.socket("/dynamic-42"));
    const sockets = [socket, custom, wild];
    const all = await Promise.all(sockets.map(async (s) => (await ask(s, "whoami"))[0]));
    assert.deepEqual(all.map(({ namespace }) => namespace), ["/", "/custom", "/dynamic-42"]);
    assert.deepEqual(all.map(({ id }) => id), sockets.map(({ id }) => id));
    const heard = sockets.map((s) => collect(s, "echo"));
    custom.emit("echo", "custom");
    await ask(custom, "ack");
    await Promise.all([ask(socket, "ack"), ask(wild, "ack")]);
    assert.deepEqual(heard, [[], ["custom"], []]);
    custom.disconnect();
    assert.deepEqual(await ask(socket, "ack", "still here"), ["still here"]);
    assert.deepEqual(await ask(wild, "ack", "still here"), ["still here"]);
  });
  await check("an unknown namespace is refused", async () => {
    assert.equal((await refused(dial({ namespace: "/random" }))).message, "Invalid namespace");
  });
  await check("a middleware refuses", async () => {
    const { message, data } = await refused(dial({ namespace: "/private", auth: { token: "guess" } }));
    if (version > 2) assert.equal(message, "not authorized");
    assert.deepEqual(data, { code: "E_AUTH" });
  });
  await check("a middleware lets in", async () => {
    const socket = await ready({ namespace: "/private", auth: { token: "secret" } });
    assert.equal((await ask(socket, "whoami"))[0].namespace, "/private");
  });
}

const values = [
  [],
  ["hello"],
  ["메세지 바로 👋", "\u2028\u2029\u0000\u001e\ufeff", '"\\', ""],
  [null, true, false, 0, -1.5, 1e21, 9007199254740991],
  [{}, [], { a: { b: [1, [2, [{ c: null }]]] }, "": "empty key" }],
  ['{"_placeholder":true,"num":0}', "4hello", "2[1]"],
];

const bytes = Buffer.from([0, 1, 2, 3, 0x1e, 0x7f, 0x80, 0xff]);
const binaries = [
  [bytes],
  [bytes, "text", Buffer.from("메세지")],
  [{ deep: [{ image: bytes, name: "a.png" }, [bytes]], none: null }, 7, { last: bytes }],
  ...(version > 2 ? [[new Uint8Array([1, 2, 3]), new Uint16Array([1, 2]).buffer]] : []),
  [Buffer.alloc(0)],
  [Array.from({ length: 10 }, (_, i) => Buffer.from([i]))], // as many as the official parser takes
];

async function events() {
  for (const [name, rows] of [["text", values], ["binary", binaries]]) {
    await check(`events, ${name}`, async () => {
      const socket = await ready();
      for (const args of rows) {
        const echo = event(socket, "echo");
        socket.emit("echo", ...args);
        assert.deepEqual(plain(await echo), plain(args));
      }
    });
    await check(`acknowledgements by the server, ${name}`, async () => {
      const socket = await ready();
      const all = rows.map((args) => ask(socket, "ack", ...args)); // all on their way at once
      for (const [i, args] of rows.entries()) assert.deepEqual(plain(await all[i]), plain(args));
    });
    await check(`acknowledgements by the client, ${name}`, async () => {
      const socket = await ready();
      socket.on("question", (...args) => args.pop()(...args));
      for (const args of rows) {
        const want = args.slice(0, 1); // some servers are told one value only
        assert.deepEqual(plain(await ask(socket, "ask", 5000, ...want)), plain(["answer", ...want]));
      }
    });
  }
  await check("the server waits in vain for an acknowledgement", async () => {
    const socket = await ready();
    assert.deepEqual(await ask(socket, "ask", 50, "anybody there?"), ["timeout"]);
    assert.deepEqual(await ask(socket, "ack", 1), [1]);
  });
  if (version > 2) {
    await check("catch-all", async () => {
      const socket = await ready();
      const heard = [];
      socket.onAny((...args) => heard.push(args));
      socket.emit("echo", 1, "two");
      await ask(socket, "ack");
      assert.deepEqual(heard, [["echo", 1, "two"]]);
    });
  }
  if (version < 4) return;
  await check("the client waits in vain for an acknowledgement", async () => {
    const socket = await ready();
    await assert.rejects(socket.timeout(50).emitWithAck("silent"), /timed out/);
    assert.equal(await socket.timeout(5000).emitWithAck("ack", "then"), "then");
  });
  await check("the client tries again", async () => {
    const socket = await ready({ retries: 2, ackTimeout: 5000 });
    const answers = await Promise.all([1, 2, 3].map((i) => socket.emitWithAck("ack", i)));
    assert.deepEqual(answers, [1, 2, 3]);
  });
}

async function flags() {
  await check("volatile, by the server", async () => {
    const socket = await ready();
    const heard = event(socket, "now");
    let got = false;
    heard.then(() => (got = true));
    // It may well get lost when no poll is there to take it.
    for (let i = 0; i < 100 && !got; i++) {
      socket.emit("send", { volatile: true }, "now", ["or never"]);
      await sleep(10);
    }
    assert.deepEqual(await heard, ["or never"]);
  });
  if (version > 2) {
    await check("volatile, by the client", async () => {
      const socket = await ready();
      let got = false;
      socket.once("echo", () => (got = true));
      for (let i = 0; i < 100 && !got; i++) {
        socket.volatile.emit("echo", "now");
        await sleep(10);
      }
      assert.ok(got);
    });
  }
  await check("compression is the sender's choice", async () => {
    const way = await Way.to(url);
    const socket = await ready({ way: way.url });
    const text = "바로".repeat(20_000); // 120,000 bytes of UTF-8
    for (const compress of [true, false]) {
      const [up, down] = [way.up, way.down];
      const arrived = event(socket, "blob");
      socket.compress(compress).emit("send", { compress }, "blob", [text]);
      assert.deepEqual(await arrived, [text]);
      if (last !== "websocket") continue; // the clients for Node.js ask for no compressed answers
      assert.equal(way.up - up < text.length, compress, `compress(${compress}): ${way.up - up} bytes up`);
      if (options.lenient) continue; // the official server compresses all the same
      assert.equal(way.down - down < text.length, compress, `compress(${compress}): ${way.down - down} bytes down`);
    }
  });
}

async function rooms() {
  await check("rooms", async () => {
    const all = await Promise.all([ready(), ready(), ready(), ready()]);
    const [a, b, c, d] = all;
    const heard = all.map((socket) => collect(socket, "news"));
    const ended = all.map((socket) => event(socket, "end"));
    for (const [socket, room] of [[a, "one"], [b, "one"], [b, "two"], [c, "two"]]) await ask(socket, "join", room);
    const members = async (room) => (await ask(d, "members", room))[0].sort();
    assert.deepEqual(await members("one"), [a.id, b.id].sort());
    await ask(d, "publish", {}, "news", ["everybody"]);
    await ask(d, "publish", { to: ["one"] }, "news", ["one"]);
    await ask(d, "publish", { to: ["one", "two"] }, "news", ["one or two"]); // once each
    await ask(d, "publish", { to: ["two"], except: ["one"] }, "news", ["two but one"]);
    await ask(d, "publish", { except: ["two"] }, "news", ["all but two"]);
    await ask(a, "publish", { others: true, to: ["one"] }, "news", ["others of one"]);
    await ask(d, "publish", { others: true }, "news", ["others"]);
    await ask(d, "publish", { to: [c.id] }, "news", ["c"]);
    await ask(b, "leave", "one");
    assert.deepEqual(await members("one"), [a.id]);
    await ask(d, "publish", { to: ["one"] }, "news", ["one without b"]);
    await ask(d, "publish", {}, "end", []);
    await Promise.all(ended);
    assert.deepEqual(heard, [
      ["everybody", "one", "one or two", "all but two", "others", "one without b"],
      ["everybody", "one", "one or two", "others of one", "others"],
      ["everybody", "one or two", "two but one", "others", "c"],
      ["everybody", "all but two"],
    ]);
  });
  await check("binary in rooms", async () => {
    const [a, b] = [await ready(), await ready()];
    await ask(a, "join", "pictures");
    const arrived = event(a, "picture");
    await ask(b, "publish", { to: ["pictures"] }, "picture", [{ image: bytes, name: "a.png" }]);
    assert.deepEqual(plain(await arrived), plain([{ image: bytes, name: "a.png" }]));
  });
  await check("a room is asked", async () => {
    const all = await Promise.all([ready(), ready(), ready()]);
    const [a, b, other] = all;
    for (const [i, socket] of all.entries()) socket.on("question", (ack) => ack(i));
    await ask(a, "join", "asked");
    await ask(b, "join", "asked");
    const [how, answers] = await ask(other, "survey", "asked", 5000);
    assert.equal(how, "answer");
    assert.deepEqual(answers.sort(), [0, 1]);
    b.off("question");
    assert.equal((await ask(other, "survey", "asked", 50))[0], "timeout");
  });
}

async function size() {
  const text = "바로".repeat(large / 6);
  const random = Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * 7919) & 0xff));
  const blob = Buffer.alloc(large, random);
  for (const [name, value] of [["text", text], ["bytes", blob]]) {
    await check(`a megabyte of ${name} each way`, async () => {
      const socket = await ready();
      const [back] = await ask(socket, "ack", value);
      assert.ok(name === "text" ? back === value : blob.equals(Buffer.from(back)), "it came back changed");
    });
  }
}

main(async () => {
  await connection();
  await namespaces();
  await events();
  await flags();
  await rooms();
  await size();
  await ordered();
  await reconnection();
  if (version === 4) await recovery();
});
