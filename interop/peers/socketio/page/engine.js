// What the official client of Engine.IO does over WebTransport: see ../README.md.
async function engine() {
  const connect = async (transports) => {
    const socket = eio({
      transports,
      transportOptions: { webtransport: { serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(await hash) }] } },
    });
    undo.push(() => socket.close());
    return socket;
  };
  const assert = (ok, what) => {
    if (!ok) throw new Error(what);
  };
  const take = (socket, n) =>
    new Promise((resolve) => {
      const all = [];
      socket.on("message", function more(data) {
        all.push(data);
        if (all.length < n) return;
        socket.off("message", more);
        resolve(all);
      });
    });
  const isCounted = (all) => all.every((m, i) => m === String(i));

  await check("alone: text, binary, a megabyte", async () => {
    const socket = await connect(["webtransport"]);
    socket.binaryType = "arraybuffer";
    await event(socket, "open");
    assert(socket.transport.name === "webtransport", socket.transport.name);
    const large = "€".repeat(333_333);
    const bytes = new Uint8Array(1_000_000).map((_, i) => i * 7);
    const got = take(socket, 4);
    socket.send("hello");
    socket.send(large);
    socket.send(bytes);
    socket.send(new Uint8Array([0]));
    const [hello, text, binary, zero] = await got;
    assert(hello === "hello" && text === large, "text");
    assert(binary.byteLength === 1_000_000 && new Uint8Array(binary).every((b, i) => b === bytes[i]), "binary");
    assert(zero.byteLength === 1, "one byte");
  });
  await check("alone: heartbeats", async () => {
    const socket = await connect(["webtransport"]);
    await event(socket, "open");
    for (let i = 0; i < 4; i++) await event(socket, "ping");
    assert(socket.readyState === "open", socket.readyState);
  });
  await check("alone: the server closes behind its last message", async () => {
    const socket = await connect(["webtransport"]);
    await event(socket, "open");
    const last = event(socket, "message");
    const closed = event(socket, "close");
    socket.send("close");
    assert((await last)[0] === "last", "last message");
    const [reason] = await closed;
    assert(reason === "transport close", reason);
  });
  await check("upgrade: 10,000 messages each way in order", async () => {
    const socket = await connect(["polling", "webtransport"]);
    const upgraded = event(socket, "upgrade");
    await event(socket, "open");
    assert(socket.transport.name === "polling", socket.transport.name);
    const all = take(socket, 20_000);
    socket.send("count");
    for (let i = 0; i < 10_000; i++) {
      socket.send("#" + i);
      if (i % 500 === 0) await sleep(10);
    }
    const [transport] = await upgraded;
    assert(transport.name === "webtransport", transport.name);
    const got = await all;
    assert(isCounted(got.filter((m) => m[0] !== "#")), "order from the server");
    assert(isCounted(got.filter((m) => m[0] === "#").map((m) => m.slice(1))), "order of the echo");
    assert(socket.transport.name === "webtransport", socket.transport.name);
  });
  await check("all transports: WebTransport is chosen", async () => {
    // The client gives it 200 ms before it tries WebSocket, too. A busy machine may need longer.
    const { setTimeout } = window;
    window.setTimeout = (f, ms, ...args) => setTimeout(f, ms === 200 ? patience : ms, ...args);
    undo.push(() => (window.setTimeout = setTimeout));
    const socket = await connect(["polling", "websocket", "webtransport"]);
    const [transport] = await event(socket, "upgrade");
    assert(transport.name === "webtransport", transport.name);
    const got = event(socket, "message");
    socket.send("hello");
    assert((await got)[0] === "hello", "echo");
  });
}
