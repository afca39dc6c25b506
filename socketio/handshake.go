package socketio

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"baro.dev/socketio/parser"
)

// Handshake is what is known of how a client connected.
type Handshake struct {
	Headers http.Header       // of the first request, Host among them, without those of the WebSocket handshake
	Time    time.Time         // of the connection to the namespace
	Address string            // of the peer, without its port, which Session.RemoteAddr has
	XDomain bool              // the request came from a page with an origin
	Secure  bool              // over TLS
	URL     string            // with the query
	Query   map[string]string // of the URL; the last value of each name
	Auth    parser.Value      // what the client said on connecting to the namespace; {} if it said nothing
}

// jsTime is how JavaScript writes a time.
const jsTime = "Mon Jan 02 2006 15:04:05 GMT-0700 (MST)"

type handshakeJSON struct {
	Headers map[string]string `json:"headers"`
	Time    string            `json:"time"`
	Address string            `json:"address"`
	XDomain bool              `json:"xdomain"`
	Secure  bool              `json:"secure"`
	Issued  int64             `json:"issued"`
	URL     string            `json:"url"`
	Query   map[string]string `json:"query"`
	Auth    any               `json:"auth"`
}

// MarshalJSON gives the handshake as the official server has it.
func (h *Handshake) MarshalJSON() ([]byte, error) {
	j := handshakeJSON{
		map[string]string{}, h.Time.Format(jsTime), h.Address, h.XDomain, h.Secure, h.Time.UnixMilli(), h.URL, h.Query, h.Auth,
	}
	for name, values := range h.Headers {
		separator := ", "
		if name == "Cookie" { // RFC 9113 8.2.3
			separator = "; "
		}
		j.Headers[strings.ToLower(name)] = strings.Join(values, separator)
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads the handshake of another server.
func (h *Handshake) UnmarshalJSON(data []byte) error {
	var auth parser.Value
	j := struct {
		*handshakeJSON
		Headers map[string]lastString `json:"headers"`
		Query   map[string]lastString `json:"query"`
	}{handshakeJSON: &handshakeJSON{Auth: &auth}}
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*h = Handshake{http.Header{}, time.UnixMilli(j.Issued), j.Address, j.XDomain, j.Secure, j.URL, map[string]string{}, auth}
	for name, value := range j.Headers {
		h.Headers.Set(name, string(value))
	}
	for name, value := range j.Query {
		h.Query[name] = string(value)
	}
	return nil
}

// lastString is a string, or the last one of a list: what other servers have of a name that came more than once.
type lastString string

func (s *lastString) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*s = lastString(one)
		return nil
	}
	var all []string
	err := json.Unmarshal(data, &all)
	if len(all) > 0 {
		*s = lastString(all[len(all)-1])
	}
	return err
}

// hello is what is kept of the request of a client, in one string: s for TLS or a dash, the URL, then a line for each header.
type hello string

func newHello(r *http.Request) hello {
	var b strings.Builder
	size := 1 + len(r.RequestURI)
	eachHeader(r, func(name, value string) { size += len(name) + len(value) + 2 })
	b.Grow(size)
	if r.TLS != nil {
		b.WriteByte('s')
	} else {
		b.WriteByte('-')
	}
	if r.RequestURI != "" {
		b.WriteString(r.RequestURI)
	} else {
		b.WriteString(r.URL.RequestURI())
	}
	eachHeader(r, func(name, value string) {
		b.WriteByte('\n')
		b.WriteString(name)
		b.WriteByte(':')
		b.WriteString(value)
	})
	return hello(b.String())
}

// eachHeader calls f for each header of a request that is kept. net/http has Host apart.
func eachHeader(r *http.Request, f func(name, value string)) {
	if r.Host != "" {
		f("Host", r.Host)
	}
	for name, values := range r.Header {
		if ofTransport(name) {
			continue
		}
		for _, v := range values {
			f(name, v)
		}
	}
}

// ofTransport reports whether a header is for the transport only.
func ofTransport(name string) bool {
	return name == "Connection" || name == "Upgrade" || strings.HasPrefix(name, "Sec-Websocket-")
}

func (h hello) handshake() *Handshake {
	line, rest, _ := strings.Cut(string(h[1:]), "\n")
	hs := &Handshake{Headers: http.Header{}, Secure: h[0] == 's', URL: line, Query: map[string]string{}}
	for line := range strings.SplitSeq(rest, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			hs.Headers.Add(name, value)
		}
	}
	hs.XDomain = hs.Headers.Get("Origin") != ""
	if u, err := url.ParseRequestURI(hs.URL); err == nil {
		for name, values := range u.Query() {
			hs.Query[name] = values[len(values)-1]
		}
	}
	return hs
}

// jsonValue is a value as it might have come.
func jsonValue(v any) (value parser.Value) {
	data, err := json.Marshal(v)
	if err == nil {
		_ = value.UnmarshalJSON(data)
	}
	return value
}

// queryAuth is the query behind the name of a namespace, in protocol 4, as what the client has to say for itself.
func queryAuth(query string) parser.Value {
	values, _ := url.ParseQuery(query)
	auth := map[string]string{}
	for name, v := range values {
		auth[name] = v[len(v)-1]
	}
	return jsonValue(auth)
}
