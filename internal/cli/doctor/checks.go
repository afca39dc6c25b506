package doctor

// checks are all there are, in the order of the report, which is that of their weight: what others build on comes first.
func (e *examination) checks() []check {
	idle := e.o.Idle
	return []check{
		{name: "dns", skip: notNamed, run: checkDNS},
		{name: "tcp", after: []string{"dns"}, run: checkTCP},
		{name: "tls", needs: []string{"tcp"}, skip: notSecure, run: checkTLS},
		{name: "http", needs: []string{"tcp"}, after: []string{"tls"}, run: checkHTTP},
		{name: "handshake", needs: []string{"http"}, skip: noWebSocket, run: checkHandshake},
		{name: "websocket", needs: []string{"handshake"}, skip: noWebSocket, run: checkWebSocket},
		{name: "compression", needs: []string{"handshake"}, skip: noWebSocket, run: checkCompression},
		{name: "poll", needs: []string{"http"}, skip: notChannel, run: checkPoll},
		{name: "long-poll", needs: []string{"poll"}, skip: notChannel, run: checkLongPoll},
		{name: "event-stream", needs: []string{"http"}, skip: noEvents, run: checkEventStream},
		{name: "ndjson", needs: []string{"http"}, skip: notChannel, run: checkNDJSON},
		{name: "delivery", needs: []string{"poll"}, skip: notPublished, run: checkDelivery, hint: true},
		{name: "socketio-polling", needs: []string{"http"}, skip: notSocketIO, run: checkEnginePolling},
		{name: "socketio-websocket", needs: []string{"socketio-polling"}, skip: notSocketIO, run: checkEngineWebSocket},
		{name: "socketio-upgrade", needs: []string{"socketio-polling", "socketio-websocket"}, skip: notSocketIO, run: checkEngineUpgrade},
		{name: "socketio-webtransport", needs: []string{"socketio-polling"}, skip: noWebTransport, run: checkWebTransport},
		{name: "idle", needs: []string{"http"}, skip: notIdle, run: checkIdle, longer: idle, hint: true},
		{name: "http2", needs: []string{"http"}, skip: notSecure, run: checkHTTP2},
		{name: "http3", needs: []string{"http"}, skip: noHTTP3, run: checkHTTP3},
		{name: "websocket-http2", needs: []string{"handshake", "http2"}, run: checkWebSocketHTTP2},
		{name: "websocket-http3", needs: []string{"handshake", "http3"}, run: checkWebSocketHTTP3},
		{name: "clock", needs: []string{"http"}, run: checkClock},
		{name: "proxies", needs: []string{"http"}, run: checkProxies},
		{name: "cookies", needs: []string{"http"}, run: checkCookies},
	}
}

func notSecure(e *examination) string {
	if !e.secure() {
		return "the URL is not of https"
	}
	return ""
}

func noWebSocket(e *examination) string {
	if e.kind == Events {
		return "this is an event stream"
	}
	return ""
}

func notChannel(e *examination) string {
	if e.kind != Channel {
		return "this is not baro serve"
	}
	return ""
}

func noEvents(e *examination) string {
	if e.kind != Channel && e.kind != Events {
		return "there is no event stream"
	}
	return ""
}

func notPublished(e *examination) string {
	if !e.o.Publish {
		return "--publish measures it with a message"
	}
	return ""
}

func notSocketIO(e *examination) string {
	if e.kind != SocketIO && e.kind != Channel {
		return "there is no Socket.IO"
	}
	return ""
}

func notIdle(e *examination) string {
	if e.o.Idle == 0 {
		return "--idle 70s finds who cuts what is silent for a minute, as most proxies do"
	}
	return ""
}
