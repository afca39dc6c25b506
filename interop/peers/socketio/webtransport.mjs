// The official client of Engine.IO in a page in Chromium, over WebTransport, with the hash of a certificate that nobody vouches
// for. It tells of each check: see README.md.
import { chromium } from "playwright-core";
import { emit, options, orders } from "../protocol.mjs";

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage();
await page.exposeFunction("emit", emit);
await page.goto(options.url + "/page");

await page.evaluate(async () => {
  const connect = (transports) =>
    eio({
      transports,
      transportOptions: { webtransport: { serverCertificateHashes: [{ algorithm: "sha-256", value: hash }] } },
    });
  const patience = (what, promise) =>
    Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error("waited for " + what)), 15000))]);
  const once = (socket, name) => patience(name, new Promise((yes) => socket.once(name, (...args) => yes(args))));
  const assert = (ok, what) => {
    if (!ok) throw new Error(what);
  };
  const collect = (socket, n) =>
    patience(
      n + " messages",
      new Promise((yes) => {
        const all = [];
        socket.on("message", function take(data) {
          all.push(data);
          if (all.length === n) {
            socket.off("message", take);
            yes(all);
          }
        });
      }),
    );
  const isCounted = (all) => all.every((m, i) => m === String(i));

  const checks = {
    async "alone: text, binary, a megabyte"() {
      const socket = connect(["webtransport"]);
      socket.binaryType = "arraybuffer";
      await once(socket, "open");
      assert(socket.transport.name === "webtransport", socket.transport.name);
      const large = "€".repeat(333_333);
      const bytes = new Uint8Array(1_000_000).map((_, i) => i * 7);
      const got = collect(socket, 4);
      socket.send("hello");
      socket.send(large);
      socket.send(bytes);
      socket.send(new Uint8Array([0]));
      const [hello, text, binary, zero] = await got;
      assert(hello === "hello" && text === large, "text");
      assert(binary.byteLength === 1_000_000 && new Uint8Array(binary).every((b, i) => b === bytes[i]), "binary");
      assert(zero.byteLength === 1, "one byte");
      socket.close();
    },
    async "alone: heartbeats"() {
      const socket = connect(["webtransport"]);
      await once(socket, "open");
      for (let i = 0; i < 4; i++) await once(socket, "ping");
      assert(socket.readyState === "open", socket.readyState);
      socket.close();
    },
    async "alone: the server closes behind its last message"() {
      const socket = connect(["webtransport"]);
      await once(socket, "open");
      const last = once(socket, "message");
      const closed = once(socket, "close");
      socket.send("close");
      assert((await last)[0] === "last", "last message");
      const [reason] = await closed;
      assert(reason === "transport close", reason);
    },
    async "upgrade: 10,000 messages each way in order"() {
      const socket = connect(["polling", "webtransport"]);
      const upgraded = once(socket, "upgrade");
      await once(socket, "open");
      assert(socket.transport.name === "polling", socket.transport.name);
      const all = collect(socket, 20_000);
      socket.send("count");
      for (let i = 0; i < 10_000; i++) {
        socket.send("#" + i);
        if (i % 500 === 0) await new Promise((yes) => setTimeout(yes, 10));
      }
      const [transport] = await upgraded;
      assert(transport.name === "webtransport", transport.name);
      const got = await all;
      assert(isCounted(got.filter((m) => m[0] !== "#")), "order from the server");
      assert(isCounted(got.filter((m) => m[0] === "#").map((m) => m.slice(1))), "order of the echo");
      assert(socket.transport.name === "webtransport", socket.transport.name);
      socket.close();
    },
    async "all transports: WebTransport is chosen"() {
      const socket = connect(["polling", "websocket", "webtransport"]);
      const [transport] = await once(socket, "upgrade");
      assert(transport.name === "webtransport", transport.name);
      const got = once(socket, "message");
      socket.send("hello");
      assert((await got)[0] === "hello", "echo");
      socket.close();
    },
  };
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      await emit("check", { name });
    } catch (e) {
      await emit("check", { name, message: String(e?.message ?? e) });
    }
  }
  await emit("done");
});

await orders(() => {});
