// The five ways to read a channel. Each is written as plainly as a page of yours would do it, plus the counting.
//
// A transport runs until its signal aborts, and reports to its card: state(kind, text), message({...}), spent({requests,
// bytes}), gap(). It starts at card.position, or now, and remembers how far it came there.

import { access } from "./access.js";
import { chunkFraming, eventStreamHead, frameHeader, handshake, lengthOf, requestHead, responseHead } from "./bytes.js";

const subprotocol = "baro.v1.json";

// fromEnvelope reads the envelope of a message, which all transports share.
function fromEnvelope(e) {
  const message = { id: e.id, event: e.event, position: `${e.epoch}:${e.offset}` };
  if (e.base64 === undefined) return { ...message, text: e.data, size: lengthOf(e.data) };
  const binary = atob(e.base64);
  return { ...message, binary, size: binary.length };
}

const after = (card) => encodeURIComponent(card.position ?? "now");

// retrying runs attempt again and again until the signal aborts; after a failure it waits, longer each time.
async function retrying(card, signal, attempt) {
  for (let failures = 0; !signal.aborted; ) {
    try {
      await attempt();
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      const seconds = Math.min(2 ** failures++, 15) * (0.75 + Math.random() / 2);
      card.state("trouble", `${reason(error)}; again in ${Math.ceil(seconds)} s`);
      await pause(seconds * 1000, signal);
    }
  }
}

const unreachable = "unreachable";

// reason says what went wrong. What fetch says of a network that failed differs from browser to browser.
export const reason = (error) => (error instanceof TypeError ? unreachable : error.message);

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

// get makes a request and counts it. Where what was missed cannot be had, it starts over where the channel is now.
async function get(card, url, accept, signal) {
  const headers = access.headers({ Accept: accept });
  const response = await fetch(url, { headers, cache: "no-store", signal });
  card.spent({ requests: 1, bytes: requestHead("GET", url, headers) + responseHead(response) });
  if (response.status === 410) {
    card.position = (await response.json()).next;
    card.gap();
    return null;
  }
  if (!response.ok) throw new Error(await problem(response));
  return response;
}

export async function problem(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `status ${response.status}`;
  }
}

export class WebSocketTransport {
  title = "WebSocket";
  about = "One connection, both directions.";
  tip = "About what went over the line besides the messages: one handshake, the headers of the frames, and the envelope that carries each message’s id and offset.";
  refused; // is told why a message that was sent is not published
  #socket;

  snippet = (base) => `new WebSocket("${base.replace(/^http/, "ws")}").onmessage = e => console.log(e.data)`;

  run(card, base, signal) {
    return retrying(card, signal, () => new Promise((resolve, reject) => {
      card.state("busy", "connecting");
      const url = access.with(`${base.replace(/^http/, "ws")}?after=${after(card)}`);
      const socket = new WebSocket(url, subprotocol);
      let opened = false;
      socket.onopen = () => {
        opened = true;
        this.#socket = socket;
        card.state("open", "open");
        card.spent({ requests: 1, bytes: handshake(url, subprotocol) });
      };
      socket.onmessage = ({ data }) => {
        const envelope = JSON.parse(data);
        const size = lengthOf(data);
        if (envelope.error) {
          this.refused?.(envelope.error.message);
        } else if (envelope.event === "baro.reset") {
          card.position = envelope.next;
          card.gap();
        } else {
          const message = fromEnvelope(envelope);
          card.spent({ bytes: frameHeader(size, false) + size - message.size });
          card.message(message);
        }
      };
      socket.onclose = ({ code, reason }) => {
        this.#socket = undefined;
        reject(new Error(opened ? reason || `closed (${code})` : unreachable));
      };
      signal.addEventListener("abort", () => { socket.close(); resolve(); }, { once: true });
    }));
  }

  // send publishes, and says whether it could.
  send(card, text, id) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    const envelope = JSON.stringify({ data: text, id });
    this.#socket.send(envelope);
    const size = lengthOf(envelope);
    card.spent({ bytes: frameHeader(size, true) + size - lengthOf(text) });
    return true;
  }
}

export class EventStreamTransport {
  title = "Event stream";
  about = "One answer that never ends. Browsers reconnect, and recover.";
  tip = "About what went over the line besides the messages: the headers of one request and its answer, and of each event what is not the message.";

  snippet = (base) => `new EventSource("${base}").onmessage = e => console.log(e.data)`;

  run(card, base, signal) {
    return retrying(card, signal, () => new Promise((resolve, reject) => {
      card.state("busy", "connecting");
      const url = access.with(`${base}?format=json&after=${after(card)}`);
      const source = new EventSource(url);
      source.onopen = () => {
        card.state("open", "open");
        card.spent({ requests: 1, bytes: requestHead("GET", url, { Accept: "text/event-stream" }) + eventStreamHead });
      };
      source.onmessage = ({ data, lastEventId }) => {
        const message = fromEnvelope(JSON.parse(data));
        const size = lengthOf(`id: ${lastEventId}\ndata: ${data}\n\n`);
        card.spent({ bytes: size - message.size + chunkFraming(size) });
        card.message(message);
      };
      source.addEventListener("baro.reset", ({ lastEventId }) => { card.position = lastEventId; card.gap(); });
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) reject(new Error("refused"));
        else card.state("trouble", "reconnecting");
      };
      signal.addEventListener("abort", () => { source.close(); resolve(); }, { once: true });
    }));
  }
}

export class JSONLinesTransport {
  title = "JSON lines";
  about = "One answer that never ends, a JSON line for each message.";
  tip = "About what went over the line besides the messages: the headers of one request and its answer, and of each line what is not the message.";

  snippet = (base) => `${access.curl} -N -H 'Accept: application/x-ndjson' '${base}'`;

  run(card, base, signal) {
    return retrying(card, signal, async () => {
      card.state("busy", "connecting");
      const response = await get(card, `${base}?after=${after(card)}`, "application/x-ndjson", signal);
      if (!response) return;
      card.state("open", "open");
      let rest = "";
      for await (const text of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          const size = lengthOf(line) + 1;
          if (line === "") { // a heartbeat
            card.spent({ bytes: size + chunkFraming(size) });
            continue;
          }
          const message = fromEnvelope(JSON.parse(line));
          card.spent({ bytes: size - message.size + chunkFraming(size) });
          card.message(message);
        }
      }
      throw new Error("ended");
    });
  }
}

async function* chunks(stream) { // Safari cannot iterate streams
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

class PollingTransport {
  tip = "About what went over the line besides the messages: the headers of every request and answer, and of each answer’s JSON what is not the message.";

  run(card, base, signal) {
    return retrying(card, signal, async () => {
      card.state("open", this.waiting);
      const response = await get(card, `${base}?${this.query}after=${after(card)}`, "application/json", signal);
      if (!response) return;
      const body = await response.text();
      const { messages, next } = JSON.parse(body);
      const read = messages.map(fromEnvelope);
      card.spent({ bytes: lengthOf(body) - read.reduce((sum, { size }) => sum + size, 0) });
      read.forEach((message) => card.message(message));
      card.position = next;
      await pause(this.interval, signal);
    });
  }
}

export class LongPollingTransport extends PollingTransport {
  title = "Long polling";
  about = "A request that is answered when there is something to say.";
  waiting = "waiting for an answer";
  query = "wait=30s&";
  interval = 0;

  snippet = (base) => `${access.curl} '${base}?wait=30s&after=now'`;
}

export class IntervalPollingTransport extends PollingTransport {
  title = "Polling";
  about = "A request every";
  intervals = [1, 2, 5, 10];
  query = "";
  interval = 2000;

  waiting = "between requests";

  snippet = (base) => `${access.curl} '${base}'`;
}
