package requesthead

import "strings"

// What clients send, and proxies make of it.
var wellFormed = map[string]string{
	"RFC 6455 1.2": "GET /chat HTTP/1.1\r\n" +
		"Host: server.example.com\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Origin: http://example.com\r\n" +
		"Sec-WebSocket-Protocol: chat, superchat\r\n" +
		"Sec-WebSocket-Version: 13\r\n\r\n",
	"Chrome": chrome,
	"Chrome with cookies": strings.Replace(chrome, "Sec-WebSocket-Key", "Cookie: sid=0123456789abcdef; theme=dark\r\n"+
		"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key", 1),
	"Firefox": "GET /socket.io/?EIO=4&transport=websocket&sid=lv_VI97HAXpY6yYWAAAC HTTP/1.1\r\n" +
		"Host: localhost:3000\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
		"Accept: */*\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Origin: http://localhost:3000\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate\r\n" +
		"Sec-WebSocket-Key: 1zOJMZ1nYNuIoNzpEg0Zaw==\r\n" +
		"Connection: keep-alive, Upgrade\r\n" +
		"Sec-Fetch-Dest: empty\r\n" +
		"Sec-Fetch-Mode: websocket\r\n" +
		"Sec-Fetch-Site: same-origin\r\n" +
		"Pragma: no-cache\r\n" +
		"Cache-Control: no-cache\r\n" +
		"Upgrade: websocket\r\n\r\n",
	"Safari": "GET /c/news HTTP/1.1\r\n" +
		"Upgrade: websocket\r\n" +
		"Origin: https://example.com\r\n" +
		"Sec-WebSocket-Protocol: chat\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Host: example.com\r\n" +
		"Connection: Upgrade\r\n" +
		"Pragma: no-cache\r\n" +
		"Cache-Control: no-cache\r\n" +
		"User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15\r\n\r\n",
	"curl": "GET / HTTP/1.1\r\n" +
		"Host: 127.0.0.1:8080\r\n" +
		"User-Agent: curl/8.9.1\r\n" +
		"Accept: */*\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: 7c6RXMY8LTGyPjG8gIcxFQ==\r\n\r\n",
	"Node ws": "GET /?token=a%20b HTTP/1.1\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: 4tRbkT5aNXrs9Yc5dRTWSA==\r\n" +
		"Connection: Upgrade\r\n" +
		"Upgrade: websocket\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
		"Host: localhost:8080\r\n\r\n",
	"Node undici": "GET /ws HTTP/1.1\r\n" +
		"host: localhost:8080\r\n" +
		"connection: upgrade\r\n" +
		"upgrade: websocket\r\n" +
		"sec-websocket-key: 4tRbkT5aNXrs9Yc5dRTWSA==\r\n" +
		"sec-websocket-version: 13\r\n" +
		"sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n" +
		"accept: */*\r\n" +
		"accept-language: *\r\n" +
		"sec-fetch-mode: websocket\r\n" +
		"user-agent: node\r\n" +
		"pragma: no-cache\r\n" +
		"cache-control: no-cache\r\n" +
		"accept-encoding: gzip, deflate\r\n\r\n",
	"Python websockets": "GET / HTTP/1.1\r\n" +
		"Host: localhost:8765\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: h3CYC4kM5OpyrCWuCBAN+w==\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
		"User-Agent: Python/3.12 websockets/13.0\r\n\r\n",
	"Python aiohttp": "GET /ws HTTP/1.1\r\n" +
		"Host: 127.0.0.1:8080\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: h3CYC4kM5OpyrCWuCBAN+w==\r\n" +
		"Accept: */*\r\n" +
		"Accept-Encoding: gzip, deflate\r\n" +
		"User-Agent: Python/3.12 aiohttp/3.10.5\r\n\r\n",
	"gorilla": "GET /echo HTTP/1.1\r\n" +
		"Host: localhost:8080\r\n" +
		"User-Agent: Go-http-client/1.1\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-WebSocket-Key: h3CYC4kM5OpyrCWuCBAN+w==\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Upgrade: websocket\r\n\r\n",
	"coder": "GET /echo HTTP/1.1\r\n" +
		"Host: localhost:8080\r\n" +
		"User-Agent: Go-http-client/1.1\r\n" +
		"Connection: Upgrade\r\n" +
		"Sec-Websocket-Key: h3CYC4kM5OpyrCWuCBAN+w==\r\n" +
		"Sec-Websocket-Version: 13\r\n" +
		"Upgrade: websocket\r\n\r\n",
	"nginx in front": "GET /ws HTTP/1.1\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: upgrade\r\n" +
		"Host: backend\r\n" +
		"X-Real-IP: 203.0.113.7\r\n" +
		"X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\n" +
		"X-Forwarded-Proto: https\r\n" +
		"Sec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: h3CYC4kM5OpyrCWuCBAN+w==\r\n\r\n",
	"Envoy in front": "GET /ws HTTP/1.1\r\n" +
		"host: example.com\r\n" +
		"upgrade: websocket\r\n" +
		"connection: Upgrade\r\n" +
		"sec-websocket-version: 13\r\n" +
		"sec-websocket-key: h3CYC4kM5OpyrCWuCBAN+w==\r\n" +
		"x-forwarded-proto: https\r\n" +
		"x-request-id: 0c5e3b60-3f5c-4b0c-9d4e-5a0e1f0f7c11\r\n" +
		"x-envoy-expected-rq-timeout-ms: 15000\r\n\r\n",
	"absolute-form": "GET http://example.com:8080/ws?a=b HTTP/1.1\r\nHost: example.com:8080\r\n" + essential,
}

// essential is what makes an upgrade, behind a request line and a Host.
const essential = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

const chrome = "GET /ws?room=1 HTTP/1.1\r\n" +
	"Host: example.com\r\n" +
	"Connection: Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: https://example.com\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"

// with returns a head that is an upgrade but for the lines given, each of which has its own end.
func with(lines string) string { return target("/") + "Host: a\r\n" + lines + essential }

// target returns the request line with a target in it.
func target(uri string) string { return "GET " + uri + " HTTP/1.1\r\n" }
