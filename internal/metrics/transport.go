package metrics

// A Transport is how a client is connected.
type Transport uint8

// The transports, by the values of the label.
const (
	WebSocket            Transport = iota // websocket: of one channel
	Multiplex                             // multiplex: /ws
	SSE                                   // sse
	NDJSON                                // ndjson
	Poll                                  // poll: that waits
	SocketIOPolling                       // socketio_polling
	SocketIOWebSocket                     // socketio_websocket
	SocketIOWebTransport                  // socketio_webtransport

	Transports = iota // how many there are
)

var transportNames = [Transports]string{
	"websocket", "multiplex", "sse", "ndjson", "poll", "socketio_polling", "socketio_websocket", "socketio_webtransport",
}

// String is the value of the label.
func (t Transport) String() string { return transportNames[t] }

// pings says whether the server pings over the transport.
func (t Transport) pings() bool { return t != SSE && t != NDJSON && t != Poll }

func (t Transport) isSocketIO() bool { return t >= SocketIOPolling }

// A Source is how a message came to be published.
type Source uint8

// The sources, by the values of the label.
const (
	ByHTTP      Source = iota // http: POST /c/NAME
	ByAPI                     // api
	ByWebSocket               // websocket
	ByMultiplex               // multiplex
	BySocketIO                // socketio

	sources = iota
)

var sourceNames = [sources]string{"http", "api", "websocket", "multiplex", "socketio"}

// knownCodes are the values of the label code. There are no others, whatever a peer sends.
var knownCodes = map[string]bool{
	// WebSocket (RFC 6455 section 7.4.1).
	"1000": true, "1001": true, "1002": true, "1003": true, "1005": true, "1006": true, "1007": true, "1008": true, "1009": true,
	"1010": true, "1011": true, "1012": true, "1013": true, "1014": true,
	// Those of this project (docs/ws-protocol.md).
	"4000": true, "4001": true, "4002": true, "4003": true, "4004": true, "4005": true, "4410": true, "4500": true, "4501": true, "4502": true, "4503": true,
	// Words of transports without codes: who ended it, and why.
	"client": true, "server": true, "slow": true, "timeout": true, "error": true, "answered": true,
}
