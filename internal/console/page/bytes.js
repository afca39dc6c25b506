// Estimates of what goes over the line besides the messages. A page cannot see it: browsers hide most of their request
// headers, and all of the framing.

const lengthOf = (text) => new TextEncoder().encode(text).length;

const headerLines = (headers) =>
  Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + lengthOf(value) + 4, 0); // ": " and CRLF

// What browsers send with every request of a page to its own server.
function usualHeaders() {
  const headers = {
    "Host": location.host,
    "User-Agent": navigator.userAgent,
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": navigator.languages.join(","),
  };
  if (document.cookie) headers["Cookie"] = document.cookie;
  return headers;
}

function fetchHeaders(mode) {
  const headers = { ...usualHeaders(), "Connection": "keep-alive", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": mode, "Sec-Fetch-Site": "same-origin" };
  const client = navigator.userAgentData; // Chromium alone
  if (client) {
    headers["sec-ch-ua"] = client.brands.map(({ brand, version }) => `"${brand}";v="${version}"`).join(", ");
    headers["sec-ch-ua-mobile"] = client.mobile ? "?1" : "?0";
    headers["sec-ch-ua-platform"] = `"${client.platform}"`;
  }
  return headers;
}

// The head of a request as HTTP/1.1 has it: request line, headers, empty line.
export function requestHead(method, url, extra = {}) {
  const { pathname, search } = new URL(url, location.href);
  return `${method} ${pathname}${search} HTTP/1.1\r\n\r\n`.length + headerLines({ ...fetchHeaders("cors"), ...extra });
}

// The head of an answer: its headers can be seen, all of them, as long as the origin is ours.
export function responseHead(response) {
  return "HTTP/1.1 200 OK\r\n\r\n".length + headerLines(Object.fromEntries(response.headers));
}

// An event stream's answer cannot be seen: this is what the server sends.
export const eventStreamHead =
  "HTTP/1.1 200 OK\r\n\r\n".length +
  headerLines({
    "Baro-Position": "AAAAAAAAAAAAA:1000", "Cache-Control": "no-store", "Content-Type": "text/event-stream",
    "Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Transfer-Encoding": "chunked", "Vary": "Origin, Accept",
    "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff",
  });

// Both halves of a WebSocket handshake (RFC 6455 section 1.3).
export function handshake(url, protocol) {
  const { pathname, search } = new URL(url);
  const request = {
    ...usualHeaders(), "Connection": "Upgrade", "Upgrade": "websocket", "Origin": location.origin, "Cache-Control": "no-cache",
    "Pragma": "no-cache", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": protocol, "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
  };
  const answer = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "Sec-WebSocket-Protocol": protocol,
  };
  return `GET ${pathname}${search} HTTP/1.1\r\n\r\n`.length + headerLines(request) +
    "HTTP/1.1 101 Switching Protocols\r\n\r\n".length + headerLines(answer);
}

// The header of a frame (RFC 6455 section 5.2); those of a client have a mask.
export function frameHeader(payload, masked) {
  return (payload < 126 ? 2 : payload < 65536 ? 4 : 10) + (masked ? 4 : 0);
}

// The size line of a chunk and its ends of lines (RFC 9112 section 7.1).
export const chunkFraming = (payload) => payload.toString(16).length + 4;

export { lengthOf };
