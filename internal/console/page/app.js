// The page: one channel, five transports, and a box to send.

import { access } from "./access.js";
import { Card } from "./card.js";
import { Ledger } from "./ledger.js";
import {
  EventStreamTransport, IntervalPollingTransport, JSONLinesTransport, LongPollingTransport, WebSocketTransport, problem, reason,
} from "./transports.js";

const find = (selector) => document.querySelector(selector);

const ledger = new Ledger();
const webSocket = new WebSocketTransport();
const transports = [webSocket, new EventStreamTransport(), new JSONLinesTransport(), new LongPollingTransport(), new IntervalPollingTransport()];
const cards = transports.map((transport) => new Card(transport, ledger, find("#card")));
find("#cards").append(...cards.map((card) => card.element));

// The channel is in the fragment of the URL, so that a link leads to it.

const nameFromURL = () => {
  try {
    return decodeURIComponent(location.hash.slice(1)) || "demo";
  } catch {
    return "demo";
  }
};

// Quotes too are escaped: the snippets are for shells.
const escape = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
// Slashes may stay, unless something on the way would tidy them up.
const pathOf = (name) =>
  name.split("/").some((part) => part === "" || part === "." || part === "..") ? escape(name) : name.split("/").map(escape).join("/");

let base;

async function show() {
  const name = nameFromURL();
  find("#channel").value = name;
  base = `${location.origin}/c/${pathOf(name)}`;
  find("#publish-snippet").textContent = `${access.curl} -d 'hello' '${base}'`;
  const shown = base;
  const position = await present();
  if (shown === base) cards.forEach((card) => card.show(base, position));
}

// present is where the channel is now, for all transports to begin at the same message.
async function present() {
  try {
    const response = await fetch(`${base}?after=now`, { headers: access.headers({}) });
    if (response.status === 401) find("#access").hidden = false;
    if (!response.ok) throw new Error(await problem(response));
    notice("");
    return (await response.json()).next;
  } catch (error) {
    notice(`The channel is not to be had: ${reason(error)}.`);
    return undefined;
  }
}

addEventListener("hashchange", show);
find("#channel").addEventListener("change", ({ target }) => {
  location.hash = escape(target.value.trim());
});
find("#channel").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  event.target.blur();
});

// A server that wants to know who somebody is, is told.

find("#access").hidden = !access.token;
find("#token").value = access.token;
find("#token").addEventListener("change", ({ target }) => {
  access.token = target.value.trim();
  show();
});
find("#token").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  event.target.blur();
});

// Sending.

const session = crypto.getRandomValues(new Uint32Array(2)).join("");
let count = 0;

function notice(text) {
  find("#notice").textContent = text;
}

webSocket.refused = (message) => notice(`Not sent: ${message}.`);

async function send(text) {
  const id = `page-${session}-${++count}`;
  ledger.sent(id);
  if (new FormData(find("#composer")).get("by") === "websocket") {
    notice(webSocket.send(cards[0], text, id) ? "" : "The WebSocket is not open: send by POST.");
    return;
  }
  const stalled = setTimeout(notice, 3000, "The browser holds this request back: over HTTP/1.1 it opens six connections to a " +
    "server, and other tabs may have them. Pause a transport here, close a tab, or use TLS, which brings HTTP/2.");
  try {
    const response = await fetch(`${base}?id=${id}`, { method: "POST", body: text, headers: access.headers({ "Content-Type": "text/plain" }) });
    if (!response.ok) throw new Error(await problem(response));
    notice("");
  } catch (error) {
    notice(`Not sent: ${reason(error)}.`);
  } finally {
    clearTimeout(stalled);
  }
}

find("#composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send(find("#text").value || "메세지");
  find("#text").select();
});

let repeating;
find("#repeat").addEventListener("click", ({ currentTarget }) => {
  const on = currentTarget.getAttribute("aria-pressed") !== "true";
  currentTarget.setAttribute("aria-pressed", on);
  clearInterval(repeating);
  if (!on) return;
  const tick = () => send(find("#text").value || `메세지 ${new Date().toLocaleTimeString("en-GB")}`);
  tick();
  repeating = setInterval(tick, 1000);
});

// Copying.

document.addEventListener("click", async ({ target }) => {
  const button = target.closest(".copy");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch { // without TLS browsers have no clipboard: select it, for the user to copy
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

show();
