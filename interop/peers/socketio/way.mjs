// A way to the server that can be cut, held up and measured.
import { connect, createServer } from "node:net";
import { later } from "./check.mjs";

export class Way {
  up = 0; // bytes that have passed
  down = 0;
  #pairs = new Set();
  #closed = false; // to everybody
  #held = null; // those who want a WebSocket
  #target;

  static async to(url) {
    const way = new Way();
    way.#target = new URL(url);
    const server = createServer((client) => way.#accept(client, way.#target));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    later(() => {
      server.close();
      way.cut();
    });
    way.url = `http://127.0.0.1:${server.address().port}`;
    return way;
  }

  // cut ends all connections, and those that are tried, until mend.
  cut() {
    this.#closed = true;
    for (const socket of this.#pairs) socket.destroy();
  }

  // mend has it lead somewhere again: where it did, or to another server.
  mend(url) {
    if (url) this.#target = new URL(url);
    this.#closed = false;
  }

  // hold keeps WebSockets from opening until the function it returns is called.
  hold() {
    let release;
    this.#held = new Promise((resolve) => (release = resolve));
    return release;
  }

  #accept(client, { hostname, port }) {
    client.on("error", () => {});
    if (this.#closed) return client.destroy();
    const server = connect(port, hostname);
    server.on("error", () => {});
    for (const [from, to, direction] of [
      [client, server, "up"],
      [server, client, "down"],
    ]) {
      from.setNoDelay(true);
      this.#pairs.add(from);
      from.on("close", () => {
        this.#pairs.delete(from);
        to.destroySoon();
      });
      from.on("data", (data) => {
        this[direction] += data.length;
        if (from === client && this.#held && data.includes("transport=websocket")) {
          from.pause();
          this.#held.then(() => {
            to.write(data);
            from.resume();
          });
        } else if (!to.write(data)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      });
      from.on("end", () => to.end());
    }
  }
}
