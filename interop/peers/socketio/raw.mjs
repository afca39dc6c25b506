// A client that knows requests and frames, and nothing of the protocol that they carry.
import { EventEmitter, once } from "node:events";
import http from "node:http";
import { WebSocket } from "ws";
import { later, within } from "./check.mjs";

const patience = 2_000; // milliseconds, for one answer

// request makes a request on a connection of its own. It can be aborted.
export function request(url, method = "GET", body = undefined) {
  const sent = http.request(url, { method, agent: false });
  const answer = new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response) => {
      const parts = [];
      response.on("error", reject);
      response.on("data", (part) => parts.push(part));
      response.on("end", () => {
        const bytes = Buffer.concat(parts);
        resolve({ status: response.statusCode, type: response.headers["content-type"], bytes, text: bytes.toString() });
      });
    });
  });
  answer.catch(() => {}); // who aborts it does not ask
  sent.end(body);
  const bounded = within(patience, answer, `${method} ${url}`);
  bounded.catch(() => {});
  return Object.assign(bounded, { abort: () => sent.destroy() });
}

// Socket is a WebSocket whose messages wait until they are asked for.
export class Socket {
  #arrived = [];
  #bell = new EventEmitter();

  constructor(url) {
    this.url = url;
    this.ws = new WebSocket(url, { perMessageDeflate: false });
    this.ws.on("error", () => {}); // the end follows
    this.ws.on("message", (data, binary) => {
      this.#arrived.push(binary ? data : data.toString());
      this.#bell.emit("ring");
    });
    this.opening = once(this.ws, "open");
    this.opening.catch(() => {});
    this.closing = new Promise((resolve) => this.ws.on("close", resolve));
    later(() => this.ws.terminate());
  }

  opened() {
    return within(patience, this.opening, `opening ${this.url}`);
  }

  closed() {
    return within(patience, this.closing, `the end of ${this.url}`);
  }

  send(...messages) {
    for (const m of messages) this.ws.send(m);
  }

  async next() {
    if (this.#arrived.length === 0) {
      const end = this.closing.then(() => Promise.reject(new Error(`${this.url} has ended`)));
      await within(patience, Promise.race([once(this.#bell, "ring"), end]), `a message of ${this.url}`);
    }
    return this.#arrived.shift();
  }

  // nextBut is the next one that is not m.
  async nextBut(m) {
    for (;;) {
      const got = await this.next();
      if (got !== m) return got;
    }
  }
}
