package requesthead

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"unsafe"
)

// maxLines bounds what the lines of a head cost beyond their bytes. Browsers send about 15.
const maxLines = 64

// Parse returns the request in a head, one that [Scanner.Scan] found complete, or nil for what is left to net/http.
//
// The request is what net/http would hand to its handler, with the context ctx, which must not be nil. RemoteAddr and
// TLS are the caller's to set. The request owns its memory; the head is neither kept nor changed.
func Parse(ctx context.Context, head []byte) *http.Request {
	lines := bytes.Count(head, []byte{'\n'})
	// Every line ends with a CR and an LF, or cutLine refuses it. So where there are no more control characters than
	// that, no line has one inside. A tab is among what is refused here.
	if lines < 3 || lines > maxLines || countControls(head) != 2*lines {
		return nil
	}
	var r http.Request                                   // WithContext makes the only one on the heap
	if !readHead(&r, string(head), newFields(lines-3)) { // but for the request line, Host and the empty line
		return nil
	}
	return r.WithContext(ctx)
}

// Parser is Parse for a request that nobody keeps.
type Parser struct {
	request http.Request
	header  http.Header
	values  []string
}

// Parse returns the request in a head, as the function of this name does. It is lent until the next call, its strings
// are in head, and it has no context.
func (p *Parser) Parse(head []byte) *http.Request {
	lines := bytes.Count(head, []byte{'\n'})
	if lines < 3 || lines > maxLines || countControls(head) != 2*lines {
		return nil
	}
	if p.header == nil {
		p.header, p.values = make(http.Header, 16), make([]string, maxLines)
	}
	clear(p.header)
	p.request = http.Request{}
	if !readHead(&p.request, unsafe.String(&head[0], len(head)), fields{header: p.header, values: p.values[:lines-3]}) {
		return nil
	}
	return &p.request
}

// readHead reads head, whose header lines go into f.
func readHead(r *http.Request, head string, f fields) bool {
	line, rest, _ := cutLine(head)
	uri, ok := cutTarget(line)
	if !ok {
		return false
	}
	target, err := url.ParseRequestURI(uri)
	if err != nil || target.Host == "" && uri[0] != '/' { // RFC 9112 3.2: origin-form or absolute-form
		return false
	}
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return false
		}
		if line == "" {
			break
		}
		if !f.add(line) {
			return false
		}
	}
	if rest != "" || !f.isUpgrade() {
		return false
	}
	*r = http.Request{
		Method:     http.MethodGet,
		URL:        target,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     f.header,
		Body:       http.NoBody,
		Host:       f.host,
		RequestURI: uri,
	}
	if target.Host != "" { // RFC 9112 3.2.2: MUST ignore the received Host header
		r.Host = target.Host
	}
	return true
}

// cutLine cuts the first line off s. It is not ok without a CR and an LF at its end.
func cutLine(s string) (line, rest string, ok bool) {
	i := strings.IndexByte(s, '\n')
	if i < 1 || s[i-1] != '\r' {
		return "", "", false
	}
	return s[:i-1], s[i+1:], true
}

// cutTarget returns the request target in a request line (RFC 9112 3).
func cutTarget(line string) (target string, ok bool) {
	if target, ok = strings.CutPrefix(line, start); !ok {
		return "", false
	}
	if target, ok = strings.CutSuffix(target, version); !ok {
		return "", false
	}
	return target, strings.IndexByte(target, ' ') < 0 // which net/url does not mind
}
