// The client's end of a connection, made with the WebSocket of a page in a browser. See README.md.
import { newPage } from "./browsers.mjs";
import { emit, options, orders } from "./protocol.mjs";

const page = await newPage(options.browser);
await page.exposeFunction("emit", emit);
await page.goto(options.page);

await page.evaluate(({ url, subprotocols }) => {
  window.bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const base64 = (blob) =>
    new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
      reader.readAsDataURL(blob);
    });

  const socket = (window.socket = new WebSocket(url, subprotocols ?? []));
  let opened = false;
  let last = Promise.resolve(); // messages are told in the order they came in
  socket.onopen = () => {
    opened = true;
    emit("open", { subprotocol: socket.protocol, extensions: socket.extensions });
  };
  socket.onmessage = ({ data }) => {
    const kind = typeof data === "string" ? "text" : "binary";
    last = last.then(async () => emit("message", { kind, data: await base64(new Blob([data])) }));
  };
  socket.onclose = ({ code, reason }) => {
    last = last.then(() => (opened ? emit("close", { code, reason }) : emit("refused", { message: `close code ${code}` })));
  };
}, options);

await orders(async ({ order, kind, parts, code, reason }) => {
  switch (order) {
    case "send":
      return page.evaluate(
        ({ kind, data }) => {
          const bytes = window.bytes(data);
          window.socket.send(kind === "text" ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : bytes);
        },
        { kind, data: parts[0] },
      );
    case "close":
      return page.evaluate(({ code, reason }) => window.socket.close(code, reason), { code, reason });
  }
});
