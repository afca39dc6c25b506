// The official client on pages of a browser, which check a server in the role pages, one after the other: see README.md.
import { fileURLToPath } from "node:url";
import { launch } from "../browsers.mjs";
import { emit, options, orders } from "../protocol.mjs";
import { undoAll } from "./check.mjs";
import { listen } from "./proxy.mjs";
import { Way } from "./way.mjs";

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const polling = ["polling"];
const websocket = ["websocket"];
const both = ["polling", "websocket"];

const pages = [
  { name: "polling", client: "socket.io.js", transports: polling, run: "all" },
  { name: "websocket", client: "socket.io.min.js", transports: websocket, run: "all" },
  { name: "polling to websocket", client: "socket.io.esm.min.js", transports: both, run: "all" },
  { name: "webtransport", host: "127.0.0.1", transports: ["webtransport"], run: "all" },
  { name: "polling to webtransport", host: "127.0.0.1", transports: ["polling", "webtransport"], run: "all" },
  { name: "Engine.IO", host: "127.0.0.1", transports: ["webtransport"], run: "engine" },
  { name: "msgpack", client: "socket.io.msgpack.min.js", path: "/msgpack/", transports: both, run: "all" },
  { name: "msgpack by polling", client: "socket.io.msgpack.min.js", path: "/msgpack/", transports: polling, run: "attachments" },
  { name: "JSONP", version: "2", jsonp: true, transports: polling, run: "all" },
  { name: "files", transports: polling, run: "files" },
  { name: "elsewhere", transports: both, run: "elsewhere" },
  { name: "elsewhere", host: "127.0.0.1", transports: both, run: "elsewhere" },
  ...["refuse", "strip", "swallow", "buffer"].map((proxy) => ({ name: "proxy/" + proxy, proxy, transports: both, run: "hindered" })),
];

const server = options.url.replace("127.0.0.1", "localhost"); // an origin that is allowed
const browser = await launch(options.browser);

// Nobody is between a page and the server where UDP has to pass.
function wayOf({ transports, proxy }) {
  if (transports.includes("webtransport")) return { url: options.webtransport };
  return proxy ? listen(proxy, options.url) : Way.to(options.url);
}

async function scripts(page, { version, client = "socket.io.min.js", run }) {
  const ours = ["check", "client", "engine", "elsewhere", "hindered"].map((name) => ({ path: file(`page/${name}.js`) }));
  let theirs = { url: "/socket.io/" + client };
  if (version === "2") theirs = { path: file("../../node_modules/socket.io-client-v2/dist/socket.io.js") };
  if (run === "engine") theirs = { path: file("../../node_modules/engine.io-client/dist/engine.io.min.js") };
  if (client.includes(".esm.")) theirs = { type: "module", content: `import { io } from "/socket.io/${client}"; window.io = io;` };
  for (const script of [theirs, ...ours]) await page.addScriptTag(script);
  if (theirs.type === "module") await page.waitForFunction("window.io"); // nobody says when a module has run
}

async function open(o) {
  const page = await browser.newPage();
  const way = await wayOf(o);
  await page.exposeFunction("emit", emit);
  await page.exposeFunction("way", (what) => way[what]());
  const { host = "localhost" } = o;
  const query = new URLSearchParams({ server, path: "/socket.io/", ...o });
  await page.goto(`${way.url.replace("127.0.0.1", host)}/page?${query}`);
  await scripts(page, o);
  await page.evaluate(`${o.run}()`);
  await page.close();
  await way.close?.();
  await undoAll();
}

orders(() => {});
for (const page of pages) await open(page);
emit("done");
await browser.close();
process.exit(0);
