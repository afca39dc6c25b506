// What a page of another origin may do: see ../README.md. options.server is the server's own origin.
async function elsewhere() {
  const allowed = location.hostname === "localhost";
  for (const transports of [["polling"], ["websocket"]]) {
    const [transport] = transports;
    if (!allowed) {
      await check(`${transport}, not allowed`, async () => {
        const socket = await dial({ to: options.server, transports });
        const [error] = await event(socket, "connect_error");
        equal(error.message, transport === "polling" ? "xhr poll error" : "websocket error");
      });
      continue;
    }
    await check(`${transport}, allowed, with cookies`, async () => {
      const credentials = { to: options.server, withCredentials: true };
      await connected(await dial({ ...credentials, transports: ["polling"] })); // which is given one
      const socket = await connected(await dial({ ...credentials, transports }));
      const [cookie] = await ask(socket, "header", "Cookie");
      if (!/^io=\S{20}/.test(cookie)) throw new Error(`the server got the cookie ${cookie}`);
    });
  }
  if (!allowed) return;
  await check("polling, allowed, after a preflight", async () => {
    const socket = await connected(await dial({ to: options.server, transports: ["polling"], extraHeaders: { "x-token": "abc" } }));
    equal(await ask(socket, "header", "X-Token"), ["abc"]);
    equal(await ask(socket, "header", "Cookie"), [""]);
  });
}

// timings are what the browser knows of the requests for a URL that contains this.
const timings = (part) => performance.getEntriesByType("resource").filter(({ name }) => name.includes(part));

async function files() {
  for (const name of ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"]) {
    await check(`${name} is compressed, and is not sent again`, async () => {
      const url = `/socket.io/${name}?${options.name}`;
      const text = [];
      for (const cache of ["reload", "no-cache"]) text.push(await (await fetch(url, { cache })).text());
      equal([text[0].length > 30_000, text[0] === text[1]], [true, true]);
      const [{ encodedBodySize: encoded, decodedBodySize: decoded }] = timings(url);
      if (!(encoded < decoded / 2)) throw new Error(`${decoded} bytes came as ${encoded}`);
      equal(await (await fetch("/statuses?of=" + encodeURIComponent(url))).json(), [200, 304]);
    });
  }
  await check("answers to polls are compressed", async () => {
    const socket = await ready({ transports: ["polling"] });
    await ask(socket, "ack", "메세지".repeat(10_000));
    const compressed = ({ encodedBodySize: e, decodedBodySize: d }) => d > 90_000 && e < d / 10;
    const { length } = timings("transport=polling").filter(compressed);
    if (length === 0) throw new Error(JSON.stringify(timings("transport=polling")));
  });
}
