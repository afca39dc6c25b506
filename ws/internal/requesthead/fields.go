package requesthead

import (
	"net/http"
	"strings"
)

// fields gathers the header of a request.
type fields struct {
	header http.Header // without Host
	values []string    // what the values of the next lines are stored in
	host   string

	upgrade, connection, pragma, cacheControl bool
}

// newFields makes room for n lines beside Host.
func newFields(n int) fields {
	return fields{header: make(http.Header, n), values: make([]string, n)}
}

// isUpgrade tells whether the header is that of an upgrade to WebSocket (RFC 6455 4.2.1).
func (f *fields) isUpgrade() bool {
	// To a Pragma without a Cache-Control net/http adds one.
	return f.host != "" && f.upgrade && f.connection && (f.cacheControl || !f.pragma)
}

// add takes in a header line. It refuses one that is not well formed, and one that net/http acts upon.
func (f *fields) add(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return false
	}
	if name, ok = canonical(name); !ok {
		return false
	}
	value = trim(value)
	switch name {
	case "Host":
		if f.host != "" || !validHost(value) { // RFC 9112 3.2: MUST respond with 400 to more than one
			return false
		}
		f.host = value
		return true
	case "Upgrade":
		if f.upgrade || !equalFold(value, "websocket") {
			return false
		}
		f.upgrade = true
	case "Connection":
		for option := range strings.SplitSeq(value, ",") {
			option = trim(option)
			if equalFold(option, "close") {
				return false
			}
			f.connection = f.connection || equalFold(option, "upgrade")
		}
	case "Pragma":
		f.pragma = true
	case "Cache-Control":
		f.cacheControl = true
	case "Content-Length", "Transfer-Encoding", "Trailer", "Expect":
		return false
	}
	return f.set(name, value)
}

func (f *fields) set(name, value string) bool {
	if len(f.values) == 0 { // no line is left for Host
		return false
	}
	if values := f.header[name]; values != nil {
		f.header[name] = append(values, value)
		return true
	}
	f.values[0] = value
	f.header[name], f.values = f.values[:1:1], f.values[1:]
	return true
}

// trim cuts the spaces off both ends of s; there are no tabs.
func trim(s string) string {
	for s != "" && s[0] == ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}
