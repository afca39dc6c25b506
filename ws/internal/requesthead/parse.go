package requesthead

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
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
	line, rest, _ := cutLine(string(head))
	uri, ok := cutTarget(line)
	if !ok {
		return nil
	}
	target, err := url.ParseRequestURI(uri)
	if err != nil || target.Host == "" && uri[0] != '/' { // RFC 9112 3.2: origin-form or absolute-form
		return nil
	}
	f := newFields(lines - 3) // but for the request line, Host and the empty line
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return nil
		}
		if line == "" {
			break
		}
		if !f.add(line) {
			return nil
		}
	}
	if rest != "" || !f.isUpgrade() {
		return nil
	}
	r := http.Request{
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
	return r.WithContext(ctx) // the only one on the heap
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
