package doctor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"baro.dev/internal/neterr"
)

// Handshake is the data of the check handshake: the opening handshake of WebSocket (RFC 6455 4) as it went.
type Handshake struct {
	Lines  []Line `json:"lines"`
	Status int    `json:"status"` // 0: there was no answer
}

// Line is one that was sent or received, or that is missing: then it has no text.
type Line struct {
	Direction string `json:"direction"` // "request" or "response"
	Text      string `json:"text"`
	Problem   string `json:"problem,omitempty"` // what is wrong with it
}

// webSocketURL is where the opening handshake goes: the channel, or else /ws of the server.
func (e *examination) webSocketURL() *url.URL {
	switch {
	case e.kind == SocketIO:
		return with(e.path, "EIO=4&transport=websocket")
	case e.kind == Channel && !strings.Contains(e.url.Path, "/c/"):
		return e.at("/ws", "")
	}
	return e.path
}

// checkHandshake speaks the opening handshake by itself, to show each line of it, whatever comes.
func checkHandshake(ctx context.Context, e *examination) Result {
	data := new(Handshake)
	conn, err := e.secured(ctx)
	if err != nil {
		return unreachable(data, connectAdvice(err), "%s", connectError(ctx, err))
	}
	defer conn.Close()
	defer interruptible(ctx, conn)()
	key := newKey()
	request := e.handshakeRequest(key)
	for _, line := range request {
		data.Lines = append(data.Lines, Line{Direction: "request", Text: masked(line)})
	}
	if _, err := io.WriteString(conn, strings.Join(request, "\r\n")+"\r\n\r\n"); err != nil {
		return e.judgeNothing(ctx, data, err)
	}
	var head []byte
	for range 5 { // informational answers come before it (RFC 9110 15.2)
		if head, err = readHead(conn); err != nil || !isInformational(head) {
			break
		}
	}
	for line := range strings.SplitSeq(string(head), "\n") {
		if line = strings.TrimRight(line, "\r"); line != "" {
			data.Lines = append(data.Lines, Line{Direction: "response", Text: masked(line)})
		}
	}
	if err != nil {
		return e.judgeNothing(ctx, data, err)
	}
	response, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(head), conn)), &http.Request{Method: http.MethodGet})
	if err != nil {
		data.note("response", "", "this is not HTTP")
		return refused(data, "What listens there is no web server: is the port right, and is TLS (wss) to be used?", "the answer is not HTTP")
	}
	defer response.Body.Close()
	header, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(head[bytes.IndexByte(head, '\n')+1:]))).ReadMIMEHeader()
	response.Header = http.Header(header) // net/http takes some away
	data.Status = response.StatusCode
	if response.StatusCode == http.StatusSwitchingProtocols {
		e.extensions = strings.Join(response.Header.Values("Sec-WebSocket-Extensions"), ", ")
		return e.judgeSwitch(data, response.Header, key)
	}
	_ = conn.SetReadDeadline(time.Now().Add(min(e.o.Slow, 500*time.Millisecond)))
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	return e.judgeRefusal(data, response.Header, body)
}

// handshakeRequest is the request, without the empty line at its end.
func (e *examination) handshakeRequest(key string) []string {
	u := e.webSocketURL()
	header := e.t.Header.Clone()
	host := u.Host
	if h := header.Get("Host"); h != "" {
		host = h
	}
	lines := []string{
		"GET " + u.RequestURI() + " HTTP/1.1",
		"Host: " + host,
		"Upgrade: websocket",
		"Connection: Upgrade",
		"Sec-WebSocket-Key: " + key,
		"Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
	}
	if len(e.o.Subprotocols) > 0 {
		lines = append(lines, "Sec-WebSocket-Protocol: "+strings.Join(e.o.Subprotocols, ", "))
	}
	if header.Get("User-Agent") == "" {
		lines = append(lines, "User-Agent: "+userAgent)
	}
	for _, name := range slices.Sorted(keys(header)) {
		if name == "Host" || strings.HasPrefix(name, "Sec-Websocket-") || name == "Upgrade" || name == "Connection" {
			continue
		}
		for _, value := range header[name] {
			lines = append(lines, name+": "+value)
		}
	}
	return lines
}

func keys(h http.Header) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range h {
			if !yield(name) {
				return
			}
		}
	}
}

func newKey() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// acceptOf is what Sec-WebSocket-Accept has to be (RFC 6455 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// masked is a line without what would let somebody in.
func masked(line string) string {
	name, value, found := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !found {
		if method, rest, isRequest := strings.Cut(line, " "); isRequest && method == http.MethodGet {
			path, version, _ := strings.Cut(rest, " ")
			if u, err := url.Parse(path); err == nil {
				return method + " " + redact(u) + " " + version
			}
		}
		return line
	}
	switch textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)) {
	case "Authorization", "Proxy-Authorization":
		scheme, _, _ := strings.Cut(value, " ")
		return name + ": " + scheme + " ..."
	case "Cookie":
		parts := strings.Split(value, ";")
		for i, part := range parts {
			parts[i] = withoutValue(part)
		}
		return name + ": " + strings.Join(parts, ";")
	case "Set-Cookie":
		cookie, attributes, more := strings.Cut(value, ";")
		cookie = withoutValue(cookie)
		if more {
			cookie += ";" + attributes
		}
		return name + ": " + cookie
	}
	return line
}

func withoutValue(cookie string) string {
	name, _, found := strings.Cut(cookie, "=")
	if found {
		name += "=..."
	}
	return name
}

// isInformational says whether a head is one after which another comes.
func isInformational(head []byte) bool {
	_, rest, _ := bytes.Cut(head, []byte(" "))
	return len(rest) > 3 && rest[0] == '1' && !bytes.HasPrefix(rest, []byte("101"))
}

// note has a line of the transcript say what is wrong with it, the first that begins with prefix; if there is none, it is missing.
func (h *Handshake) note(direction, prefix, problem string) {
	for i := range h.Lines {
		line := &h.Lines[i]
		if line.Direction == direction && len(line.Text) >= len(prefix) && strings.EqualFold(line.Text[:len(prefix)], prefix) {
			line.Problem = problem
			return
		}
	}
	h.Lines = append(h.Lines, Line{Direction: direction, Problem: problem})
}

// judgeNothing says what it means that there is no answer, or not the whole head of one.
func (e *examination) judgeNothing(ctx context.Context, data *Handshake, err error) Result {
	who := whoIs(e.head)
	switch {
	case errors.Is(err, errHeadTooLong):
		data.Lines = data.Lines[:min(len(data.Lines), 40)]
		data.note("response", "\x00", "the head goes on without an end")
		return refused(data, "No sane server does this.", "%v", err)
	case isTimeout(err) || ctx.Err() != nil:
		data.note("response", "\x00", "no answer, or not the whole of its head")
		return unreachable(data, "The request without an upgrade is answered, and this one is not. "+upgradeAdvice(who), "no answer to the handshake")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, neterr.ErrReset), errors.Is(err, net.ErrClosed):
		data.note("response", "\x00", "the connection ends, without an answer")
		return unreachable(data, "Something between here and the server, such as a firewall that looks into HTTP, or the server itself, cuts what asks for an upgrade. "+
			"TLS (wss) hides it from what is between.", "the connection ends without an answer to the handshake")
	}
	data.note("response", "\x00", "no answer: "+err.Error())
	return unreachable(data, "", "no answer to the handshake: %v", err)
}
