// Pages of Chromium use the channels of `baro serve`: over WebTransport alone, over WebTransport after polling, and as clients of
// version 2 by JSONP.
import { fileURLToPath } from "node:url";
import { launch } from "../browsers.mjs";
import { check, main, options } from "./check.mjs";

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const v2 = file("../../node_modules/socket.io-client-v2/dist/socket.io.js");

const clients = [
  { name: "webtransport", transports: ["webtransport"] },
  { name: "polling to webtransport", transports: ["polling", "webtransport"] },
  { name: "whatever is best", transports: undefined },
  { name: "JSONP", client: v2, transports: ["polling"], more: { forceJSONP: true } },
];

// dial is for pages: it resolves when the socket has the transport that is the best one for it.
function dial(transports, more, hash, best) {
  const socket = globalThis.io({
    forceNew: true,
    reconnection: false,
    ...(transports && { transports }),
    ...more,
    transportOptions: { webtransport: { serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(hash) }] } },
  });
  return new Promise((resolve, reject) => {
    for (const refusal of ["connect_error", "error"]) socket.on(refusal, (error) => reject(new Error(String(error))));
    socket.on("connect", () => {
      const { engine } = socket.io;
      if (engine.transport.name === best) resolve(socket);
      else engine.on("upgrade", () => (engine.transport.name === best ? resolve(socket) : reject(new Error(engine.transport.name))));
    });
  });
}

await main(async () => {
  const browser = await launch("chromium");
  for (const { name, client = options.client, transports, more = {} } of clients) {
    const page = await browser.newPage();
    await page.goto(options.url + "/livez");
    // The client gives WebTransport 200 ms before it tries WebSocket, too. A busy machine may need longer.
    await page.evaluate(() => {
      const { setTimeout } = window;
      window.setTimeout = (f, ms, ...args) => setTimeout(f, ms === 200 ? 8000 : ms, ...args);
    });
    await page.addScriptTag({ path: client });
    await page.addScriptTag({ path: file("./page/channels.js") });
    await page.evaluate(`globalThis.dial = ${dial}`);
    const checks = await page.evaluate("Object.keys(channelChecks)");
    for (const what of checks) {
      await check(`${name}: ${what}`, async () => {
        const best = client === v2 ? "polling" : "webtransport";
        await page.evaluate(
          async (what, channel, ...how) => {
            const sockets = await Promise.all([globalThis.dial(...how), globalThis.dial(...how)]);
            await globalThis.channelChecks[what](sockets, channel);
            for (const socket of sockets) socket.disconnect();
          },
          what,
          `${name}/${what}`,
          transports ?? null,
          more,
          options.hash,
          best,
        );
      });
    }
    await page.close();
  }
  await browser.close();
});
