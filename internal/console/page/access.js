// The token that the server asks for, if it does: kept for as long as the tab is open, and for nobody else.

const key = `baro token of ${location.origin}`;

export const access = {
  get token() { return sessionStorage.getItem(key) ?? ""; },
  set token(token) {
    if (token) sessionStorage.setItem(key, token);
    else sessionStorage.removeItem(key);
  },

  // headers are for what can set them; with is for WebSockets and event streams, which cannot.
  headers(others) { return this.token ? { ...others, Authorization: `Bearer ${this.token}` } : others; },
  get curl() { return this.token ? `curl -H "Authorization: Bearer $TOKEN"` : "curl"; },
  with(url) { return this.token ? `${url}&access_token=${encodeURIComponent(this.token)}` : url; },
};
