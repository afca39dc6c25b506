// What the official client does on a page: see ../README.md.
const msgpack = options.path === "/msgpack/";

// Version 2 does not take an array for binary, nor does the client with MessagePack; they want its buffer.
const binary = (array) => (msgpack || options.version === "2" ? array.buffer : array);
const every = Uint8Array.from({ length: 256 }, (_, i) => i);
const bytes = binary(every);

async function connection() {
  await check("connects, by the transports it was told", async () => {
    const socket = await dial({ auth: { token: "abc" }, query: { q: "바로" } });
    equal(socket.io.engine.transport.name, transports[0]);
    await upgraded(await connected(socket));
    const [me] = await ask(socket, "whoami");
    equal(me.transport, transports.at(-1));
    if (transports[0] !== "webtransport") equal(me.query.q, "바로"); // by which the client sends none
    if (options.version !== "2") equal([me.id, me.auth], [socket.id, { token: "abc" }]);
  });
  if (options.version === "2") return;
  await check("is refused, with data, and let in", async () => {
    const refused = await dial({ namespace: "/private", auth: { token: "wrong" } });
    const [error] = await event(refused, "connect_error");
    equal([error.message, error.data], ["not authorized", { code: "E_AUTH" }]);
    await ready({ namespace: "/private", auth: { token: "secret" } });
  });
}

async function acknowledgements() {
  await check("acknowledgements both ways", async () => {
    const socket = await ready();
    equal(await ask(socket, "ack", 1, "메세지", { a: [null, true] }), [1, "메세지", { a: [null, true] }]);
    socket.on("question", (a, b, ack) => ack(a + b));
    equal(await ask(socket, "ask", 5000, 2, 3), ["answer", 5]);
    socket.off("question");
    equal(await ask(socket, "ask", 50), ["timeout"]);
    if (options.version === "2") return;
    const late = await socket.timeout(50).emitWithAck("silent").catch((error) => error);
    equal(late instanceof Error, true);
  });
}

async function attachments() {
  await check("bytes both ways", async () => {
    const socket = await ready();
    const sent = [bytes, { deep: [every.buffer, "text"] }];
    if (!hash) sent.push(binary(new Uint8Array())); // which the client does not take over WebTransport
    equal(await ask(socket, "ack", ...sent), sent);
    const back = event(socket, "echo");
    socket.emit("echo", bytes, "and", binary(every.slice(1, 3)));
    equal((await back).slice(0, 3), [bytes, "and", every.slice(1, 3)]);
  });
  if (!msgpack) {
    await check("a Blob and a File", async () => {
      const socket = await ready();
      const file = new File(["메세지"], "a.txt", { type: "text/plain" });
      const [blob, text] = await ask(socket, "ack", new Blob([bytes]), { file });
      equal(blob, bytes);
      equal(text, { file: new TextEncoder().encode("메세지") });
    });
  }
  const size = options.version === "2" ? 50_000 : 1_000_000; // what version 2 can encode
  await check(`${size} bytes both ways`, async () => {
    const socket = await ready();
    const text = "바로".repeat(size / 6);
    const large = new Uint8Array(size).map((_, i) => (i * 7919) >> 3);
    const [one, other] = await ask(socket, "ack", text, binary(large));
    equal(one === text, true);
    const same = new Uint8Array(other.buffer ?? other, other.byteOffset ?? 0, other.byteLength);
    equal([same.length, same.every((b, i) => b === large[i])], [large.length, true]);
  });
}

async function rooms() {
  await check("rooms", async () => {
    const [a, b, c] = [await ready(), await ready(), await ready()];
    const heard = [a, b, c].map((socket) => collect(socket, "news"));
    for (const [socket, room] of [[a, "one"], [b, "one"], [b, "two"]]) await ask(socket, "join", room);
    const ended = [a, b, c].map((socket) => event(socket, "end"));
    await ask(c, "publish", { to: ["one"] }, "news", [{ picture: bytes }]);
    await ask(c, "publish", { to: ["one"], except: ["two"] }, "news", ["one but two"]);
    await ask(a, "publish", { to: ["one"], others: true }, "news", ["others"]);
    await ask(b, "leave", "one");
    await ask(c, "publish", { to: ["one"] }, "news", ["one"]);
    await ask(c, "publish", {}, "end", []);
    await Promise.all(ended);
    equal(heard, [[{ picture: bytes }, "one but two", "one"], [{ picture: bytes }, "others"], []]);
  });
}

async function order() {
  await check("nothing is lost or out of order", async () => {
    const all = 1000;
    const socket = await connected(await dial());
    let next = 0;
    const numbers = new Promise((resolve, reject) => {
      socket.on("number", (i) => {
        if (i !== next++) reject(new Error(`got ${i}, want ${next - 1}`));
        if (next === all) resolve();
      });
    });
    for (let i = 0; i < all; i++) {
      if (i % 100 === 0) {
        socket.emit("numbers", i, i + 100);
        await sleep(5);
      }
      socket.emit("count", i);
    }
    await numbers;
    equal(await ask(socket, "counted"), [{ next: all, wrong: 0 }]);
    await upgraded(socket);
  });
}

async function recovery() {
  // The server cuts WebTransport, for which there is no way in between.
  const cut = async (socket, mend) => {
    const gone = event(socket, "disconnect");
    await sleep(50); // for a client that polls to do so: nobody notices otherwise, before the next heartbeat
    if (hash) socket.emit("hangup");
    else await way("cut");
    await gone;
    await mend();
    if (!hash) await way("mend");
  };
  await check("comes back, and finds what it has missed", async () => {
    const socket = await ready({ reconnection: true });
    const other = await ready({ to: hash ? "" : options.server });
    const news = collect(socket, "news");
    const publish = (n) => ask(other, "publish", { to: ["readers"] }, "news", [n]);
    await ask(socket, "join", "readers");
    await publish(0);
    await ask(socket, "ack");
    const { id } = socket;
    const back = event(socket, "connect");
    await cut(socket, async () => {
      if (hash) return;
      await ask(other, "reason", id); // the server has noticed
      for (const n of [1, 2, 3]) await publish(n);
      socket.emit("count", 0); // is kept
    });
    await back;
    await upgraded(socket);
    equal([socket.recovered, socket.id], [true, id]);
    await publish(4);
    await ask(socket, "ack");
    equal(news, hash ? [0, 4] : [0, 1, 2, 3, 4]);
    if (!hash) equal(await ask(socket, "counted"), [{ next: 1, wrong: 0 }]);
  });
}

async function all() {
  await connection();
  await acknowledgements();
  await attachments();
  await rooms();
  await order();
  if (options.version !== "2") await recovery();
}
