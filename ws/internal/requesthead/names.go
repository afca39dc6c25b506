package requesthead

import "net/http"

// canonical spells the name of a header as net/http does, and tells whether it is a valid one. The names that are
// usual in a request for an upgrade, as they are usually spelled, cost no memory.
func canonical(name string) (string, bool) {
	if s := usual(name); s != "" {
		return s, true
	}
	return http.CanonicalHeaderKey(name), validName(name)
}

// usual knows what browsers and other clients send, and proxies add: as the RFCs spell it, and in small letters.
func usual(name string) string {
	switch name {
	case "Host", "host":
		return "Host"
	case "Connection", "connection":
		return "Connection"
	case "Upgrade", "upgrade":
		return "Upgrade"
	case "Sec-WebSocket-Key", "sec-websocket-key":
		return "Sec-Websocket-Key"
	case "Sec-WebSocket-Version", "sec-websocket-version":
		return "Sec-Websocket-Version"
	case "Sec-WebSocket-Protocol", "sec-websocket-protocol":
		return "Sec-Websocket-Protocol"
	case "Sec-WebSocket-Extensions", "sec-websocket-extensions":
		return "Sec-Websocket-Extensions"
	case "Origin", "origin":
		return "Origin"
	case "User-Agent", "user-agent":
		return "User-Agent"
	case "Cookie", "cookie":
		return "Cookie"
	case "Authorization", "authorization":
		return "Authorization"
	case "Accept", "accept":
		return "Accept"
	case "Accept-Encoding", "accept-encoding":
		return "Accept-Encoding"
	case "Accept-Language", "accept-language":
		return "Accept-Language"
	case "Cache-Control", "cache-control":
		return "Cache-Control"
	case "Pragma", "pragma":
		return "Pragma"
	case "Sec-Fetch-Dest", "sec-fetch-dest":
		return "Sec-Fetch-Dest"
	case "Sec-Fetch-Mode", "sec-fetch-mode":
		return "Sec-Fetch-Mode"
	case "Sec-Fetch-Site", "sec-fetch-site":
		return "Sec-Fetch-Site"
	case "X-Forwarded-For", "x-forwarded-for":
		return "X-Forwarded-For"
	case "X-Forwarded-Host", "x-forwarded-host":
		return "X-Forwarded-Host"
	case "X-Forwarded-Proto", "x-forwarded-proto":
		return "X-Forwarded-Proto"
	case "X-Real-IP", "x-real-ip":
		return "X-Real-Ip"
	case "X-Request-ID", "x-request-id":
		return "X-Request-Id"
	}
	return ""
}
