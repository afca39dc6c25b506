// A card shows one transport: its state, what it cost, and what it brought.

const shownMessages = 50;
const shownLatencies = 32;

export class Card {
  position; // of the last message that came, in its written form

  #root; #transport; #ledger;
  #run; // aborts what runs now
  #base;
  #resumed = 0; // when it last began: what was sent before is caught up with, not late
  #count = 0; #requests = 0; #bytes = 0;
  #latencies = [];

  constructor(transport, ledger, template) {
    this.#transport = transport;
    this.#ledger = ledger;
    this.#root = template.content.firstElementChild.cloneNode(true);
    this.#find("h2").textContent = transport.title;
    this.#find(".about").append(transport.about);
    this.#find("abbr").dataset.tip = `${transport.tip} An estimate, for HTTP/1.1; HTTP/2 compresses headers.`;
    this.#find("abbr").setAttribute("aria-label", `Header bytes. ${transport.tip} An estimate, for HTTP/1.1.`);
    this.#find(".copy").setAttribute("aria-label", `Copy the code for ${transport.title}`);
    this.#find(".messages").setAttribute("aria-label", `Messages by ${transport.title}, newest first`);
    const toggle = this.#find(".switch");
    toggle.setAttribute("aria-label", `${transport.title} receives`);
    toggle.addEventListener("click", () => (this.#run ? this.pause() : this.resume()));
    if (transport.intervals) this.#chooseInterval(transport);
    this.#draw();
  }

  get element() { return this.#root; }
  get paused() { return !this.#run; }

  #find(selector) { return this.#root.querySelector(selector); }

  #chooseInterval(transport) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", "Seconds between requests");
    for (const seconds of transport.intervals) select.add(new Option(`${seconds} s`, seconds * 1000));
    select.value = transport.interval;
    select.addEventListener("change", () => {
      transport.interval = Number(select.value);
      if (this.#run) { this.pause(); this.resume(); }
    });
    this.#find(".about").append(" ", select, ".");
  }

  // show turns to a channel, from a position on.
  show(base, position) {
    this.#base = base;
    this.position = position;
    this.#count = this.#requests = this.#bytes = 0;
    this.#latencies = [];
    this.#find(".messages").replaceChildren();
    this.#find(".snippet code").textContent = this.#transport.snippet(base);
    this.#draw();
    if (this.#run) { this.pause(); this.resume(); } else if (this.#resumed === 0) this.resume();
  }

  pause() {
    this.#run?.abort();
    this.#run = undefined;
    this.#find(".switch").setAttribute("aria-checked", "false");
    this.#setState("paused", "paused");
  }

  resume() {
    const run = new AbortController();
    this.#run = run;
    this.#resumed = performance.now();
    this.#find(".switch").setAttribute("aria-checked", "true");
    this.#transport.run(this.#during(run.signal), this.#base, run.signal);
  }

  // during is what a transport sees of its card; what comes after it was stopped is dropped.
  #during(signal) {
    const card = this;
    const live = (f) => (...args) => { if (!signal.aborted) f.apply(card, args); };
    return {
      get position() { return card.position; },
      set position(p) { if (!signal.aborted) card.position = p; },
      state: live(this.#setState),
      message: live(this.#message),
      spent: live(this.spent),
      gap: live(this.#gap),
    };
  }

  #setState(kind, text) {
    this.#root.dataset.state = kind;
    const shown = this.#find(".state span");
    if (shown.textContent !== text) shown.textContent = text;
  }

  spent({ requests = 0, bytes = 0 }) {
    this.#requests += requests;
    this.#bytes += bytes;
    this.#draw();
  }

  #message(message) {
    this.position = message.position;
    this.#count++;
    const item = document.createElement("li");
    item.className = "new";
    const body = document.createElement("span");
    body.className = message.binary === undefined ? "body" : "body binary";
    if (message.event) {
      const event = document.createElement("span");
      event.className = "event";
      event.textContent = message.event;
      body.append(event);
    }
    body.append(message.text ?? describe(message.binary));
    const time = document.createElement("time");
    time.title = message.position;
    item.append(body, time);
    time.textContent = this.#latency(this.#ledger.arrived(message));
    this.#prepend(item);
    this.#draw();
  }

  #gap() {
    const item = document.createElement("li");
    item.className = "gap";
    item.textContent = "What was missed is no longer kept; from here on live.";
    this.#prepend(item);
  }

  #prepend(item) {
    const list = this.#find(".messages");
    list.prepend(item);
    while (list.childElementCount > shownMessages) list.lastElementChild.remove();
  }

  #latency({ ms, behind, sent }) {
    if (ms === undefined) return behind === 0 ? "first" : `+${format(behind).join(" ")}`;
    if (sent < this.#resumed) return "recovered";
    this.#latencies.push(ms);
    if (this.#latencies.length > shownLatencies) this.#latencies.shift();
    return format(ms).join(" ");
  }

  #draw() {
    this.#find(".count").textContent = this.#count.toLocaleString("en");
    this.#find(".requests").textContent = this.#requests.toLocaleString("en");
    this.#find(".bytes").textContent = size(this.#bytes);
    this.#find(".each").textContent = this.#count > 0 ? size(this.#bytes / this.#count) : "–";
    const [value, unit] = this.#latencies.length ? format(this.#latencies.at(-1)) : ["–", ""];
    this.#find(".latency").textContent = value;
    this.#find(".unit").textContent = unit;
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    const median = sorted.length ? format(sorted[sorted.length >> 1]).join(" ") : "";
    this.#find(".median").textContent = sorted.length > 1 ? `median ${median}` : "";
    const chart = this.#find(".chart");
    chart.setAttribute("aria-label", median ? `The last ${sorted.length} latencies; median ${median}` : "No latencies yet");
    chart.firstElementChild.setAttribute("d", bars(this.#latencies));
  }
}

// bars draws latencies on one scale for all cards, from 0.3 ms to 10 s, each decade as high as the other.
function bars(latencies) {
  const width = 160 / shownLatencies;
  return latencies.map((ms, i) => {
    const height = Math.max(2, Math.min(1, Math.log10(Math.max(ms, 0.3) / 0.3) / Math.log10(10000 / 0.3)) * 36);
    const x = 160 - (latencies.length - i) * width;
    return `M${x + 0.5} 36v${-height.toFixed(1)}h${width - 1}V36z`;
  }).join("");
}

function format(ms) {
  if (ms < 9.95) return [ms.toFixed(1), "ms"];
  if (ms < 1000) return [ms.toFixed(0), "ms"];
  return [(ms / 1000).toFixed(ms < 9950 ? 1 : 0), "s"];
}

function size(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  if (bytes < 1e6) return `${(bytes / 1000).toFixed(bytes < 10000 ? 1 : 0)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function describe(binary) {
  const hex = Array.from(binary.slice(0, 16), (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
  return `${binary.length} bytes: ${hex}${binary.length > 16 ? " …" : ""}`;
}
