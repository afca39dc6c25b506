// The ledger remembers when this page sent a message, so that each transport's latency can be told when it arrives: the
// page gives every message an id, and the envelope brings it back.

const remembered = 500;

export class Ledger {
  #sent = new Map(); // id -> when
  #first = new Map(); // position -> when the first transport had it

  sent(id) {
    remember(this.#sent, id, performance.now());
  }

  // arrived gives how long a message took and when it was sent; of a message from elsewhere, how far behind the first
  // transport this one is.
  arrived({ id, position }) {
    const now = performance.now();
    const sent = this.#sent.get(id);
    if (sent !== undefined) return { ms: now - sent, sent };
    if (!this.#first.has(position)) remember(this.#first, position, now);
    return { behind: now - this.#first.get(position) };
  }
}

function remember(map, key, value) {
  map.set(key, value);
  if (map.size > remembered) map.delete(map.keys().next().value);
}
