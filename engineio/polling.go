package engineio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"baro.dev/engineio/internal/httpcompress"
	"baro.dev/engineio/internal/payload"
)

// polling is a session that the client polls. Session.mu guards it.
type polling struct {
	max     int    // bytes that may wait
	jsonp   bool   // the client takes scripts
	script  uint64 // the number of its callback
	out     []outgoing
	size    int           // bytes of them
	get     chan struct{} // of the poll that waits, if one does: told when there is something for it
	posting bool
	late    bool // that poll has come when the client should have stopped polling
	probe   *probe
	asked   time.Duration // of the heart: when a poll was answered last, or the handshake
	why     *CloseError   // of a session that is closing
	told    chan struct{} // of one that has departed: closed when the client has got all
}

// outgoing is a packet that waits for a poll.
type outgoing struct {
	payload.Packet
	uncompressed bool
}

// packetBytes is what a packet counts besides its bytes.
const packetBytes = 64

func (p *polling) waiting() bool { return p.get != nil && len(p.out) == 0 }

// add queues a packet, whose data is copied if it is lent.
func (p *polling) add(packet payload.Packet, uncompressed, lent bool) error {
	size := len(packet.Data) + packetBytes
	if p.size+size > p.max && packet.Type != payload.Close {
		return ErrBufferFull
	}
	if lent {
		packet.Data = bytes.Clone(packet.Data)
	}
	p.out = append(p.out, outgoing{packet, uncompressed})
	p.size += size
	return nil
}

func (p *polling) addPrepared(prepared *Prepared) error {
	for i := range prepared.messages {
		m := &prepared.messages[i]
		if err := p.add(m.packet(), m.Uncompressed, false); err != nil {
			return err
		}
	}
	return nil
}

// wake tells the poll that waits that there is something.
func (p *polling) wake() {
	if p.get != nil && len(p.out) > 0 {
		select {
		case p.get <- struct{}{}:
		default:
		}
	}
}

// leave has the poll that waits learn that the session is over.
func (p *polling) leave(why *CloseError) {
	p.out, p.size = nil, 0
	t := payload.Close
	if why.Reason == TransportClose {
		t = payload.Noop // the client has closed
	}
	_ = p.add(payload.Packet{Type: t}, false, false)
	p.wake()
}

var (
	errOverlap = errors.New("engineio: a poll came while another one waited")
	errPosting = errors.New("engineio: a POST came while another one was being received")
	errAborted = errors.New("engineio: the client has aborted its poll")
	errGone    = errors.New("engineio: the client is gone before its POST was handled")
	errBinary  = errors.New("engineio: protocol 4 has no binary payloads")
	errTooLong = errors.New("engineio: body is longer than MaxHTTPBufferSize")
)

// poll answers a GET.
func (s *Session) serveGet(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p := s.poll
	switch {
	case p == nil, s.state == closed && len(p.out) == 0:
		s.mu.Unlock()
		s.server.refuse(w, r, refuseFor(BadRequest, "the session has ended, or has left polling"))
		return
	case p.get != nil:
		s.mu.Unlock()
		s.end(&CloseError{TransportError, errOverlap})
		s.server.refuse(w, r, refuse(BadRequest, errOverlap))
		return
	}
	if len(p.out) == 0 {
		get := make(chan struct{}, 1)
		p.get = get
		p.late = p.probe != nil && p.probe.probed
		s.mu.Unlock()
		select {
		case <-get:
		case <-r.Context().Done():
		}
		s.mu.Lock()
		p.get = nil
		if r.Context().Err() != nil && s.poll == p && s.state == open { // what it would have got is not to be lost silently
			s.mu.Unlock()
			s.end(&CloseError{TransportError, errAborted})
			return
		}
		if len(p.out) == 0 { // another transport has taken over
			s.mu.Unlock()
			s.server.refuse(w, r, refuseFor(BadRequest, "the session has left polling"))
			return
		}
	}
	out := p.out
	p.out, p.size = nil, 0
	p.asked = s.server.heart.now()
	last, why := s.state != open && s.poll == p, p.why
	if n := len(out) - 1; last && n > 0 && out[n].Type == payload.Close {
		// Clients handle a close packet before the messages that came with it: it is for the next poll.
		p.out, p.size = out[n:], packetBytes
		out, last = out[:n:n], false
	}
	s.mu.Unlock()
	if last {
		defer s.told(p)
		defer s.finish(why)
	}
	if err := s.answer(w, r, p, out); err != nil && !last {
		s.end(&CloseError{TransportError, err})
	}
}

// answer writes packets as the answer to a poll.
func (s *Session) answer(w http.ResponseWriter, r *http.Request, p *polling, out []outgoing) error {
	packets := make([]payload.Packet, len(out))
	compress := false
	for i := range out {
		packets[i] = out[i].Packet
		compress = compress || !out[i].uncompressed
	}
	body, contentType := s.encode(p, packets)
	return s.server.write(w, r, body, contentType, compress)
}

// encode returns packets as the body of an answer.
func (s *Session) encode(p *polling, packets []payload.Packet) (body []byte, contentType string) {
	body = make([]byte, 0, s.format.PayloadSize(packets))
	body, binary := s.format.AppendPayload(body, packets)
	switch {
	case binary:
		return body, binaryType
	case p.jsonp:
		return payload.AppendJSONP(nil, p.script, body), scriptType
	}
	return body, textType
}

const (
	textType   = "text/plain; charset=UTF-8"
	scriptType = "text/javascript; charset=UTF-8"
	binaryType = "application/octet-stream"
)

// write writes an answer with 200.
func (e *Server) write(w http.ResponseWriter, r *http.Request, body []byte, contentType string, compress bool) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	if contentType != binaryType {
		h.Set("X-Content-Type-Options", "nosniff")
	}
	if agent := r.UserAgent(); strings.Contains(agent, ";MSIE") || strings.Contains(agent, "Trident/") {
		h.Set("X-XSS-Protection", "0")
	}
	if compress {
		packed, coding := e.compressor.Append(nil, body, r.Header.Values("Accept-Encoding"))
		if coding != httpcompress.Identity {
			body = packed
			h.Set("Content-Encoding", coding.String())
			h.Add("Vary", "Accept-Encoding")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if e.set.Headers != nil {
		e.set.Headers(h, r, r.URL.Query().Get("sid") == "")
	}
	// A client that takes longer is taken for dead anyway. Other answers may follow on the same connection.
	c := http.NewResponseController(w)
	bounded := c.SetWriteDeadline(time.Now().Add(e.set.PingInterval+e.set.PingTimeout)) == nil
	if _, err := w.Write(body); err != nil || !bounded {
		return err
	}
	err := c.Flush()
	_ = c.SetWriteDeadline(time.Time{})
	return err
}

// servePost receives a POST.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p := s.poll
	switch {
	case p == nil, s.state != open:
		s.mu.Unlock()
		s.server.refuse(w, r, refuseFor(BadRequest, "the session has ended, or has left polling"))
		return
	case p.posting:
		s.mu.Unlock()
		s.end(&CloseError{TransportError, errPosting})
		s.server.refuse(w, r, refuse(BadRequest, errPosting))
		return
	}
	p.posting = true
	s.mu.Unlock()
	why := s.receivePost(w, r, p)
	s.mu.Lock()
	p.posting = false
	s.mu.Unlock()
	switch {
	case why == nil:
		s.server.received(w, r)
		return
	case why.Reason == TransportClose: // it has said goodbye
		s.end(why)
		s.server.received(w, r)
		return
	}
	s.end(why)
	s.server.set.Logger.Debug("session breaks the protocol", "remote", r.RemoteAddr, "error", why)
	if errors.Is(why.Err, errTooLong) {
		if r.ProtoMajor < 3 { // which has no such field
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	reject(w, r, refuse(BadRequest, nil))
}

// received answers a POST.
func (e *Server) received(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", "2")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if e.set.Headers != nil {
		e.set.Headers(h, r, false)
	}
	_, _ = io.WriteString(w, "ok")
}

// receivePost handles the packets of a POST.
func (s *Session) receivePost(w http.ResponseWriter, r *http.Request, p *polling) *CloseError {
	set := s.server.set
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	binary := contentType == binaryType
	if binary && s.format.Protocol() == 4 {
		return &CloseError{TransportError, errBinary}
	}
	// A client that takes longer is taken for dead anyway.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(set.PingInterval + set.PingTimeout))
	if r.ContentLength > set.MaxHTTPBufferSize {
		return &CloseError{TransportError, errTooLong}
	}
	var body bytes.Buffer
	if n, err := body.ReadFrom(io.LimitReader(r.Body, set.MaxHTTPBufferSize+1)); err != nil {
		return &CloseError{TransportError, err}
	} else if n > set.MaxHTTPBufferSize {
		return &CloseError{TransportError, errTooLong}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	data := body.Bytes()
	if p.jsonp {
		var err error
		if data, err = payload.DecodeForm(data); err != nil {
			return &CloseError{ParseError, err}
		}
	}
	for packet, err := range s.format.Packets(data, binary) {
		if err != nil {
			return &CloseError{ParseError, fmt.Errorf("engineio: %w", err)}
		}
		if room := s.inbox.crowded(); room != nil {
			select {
			case <-room:
			case <-r.Context().Done():
				return &CloseError{TransportError, errGone}
			}
		}
		if why := s.receive(packet, Polling); why != nil {
			return why
		}
		if s.ended() {
			break
		}
	}
	return nil
}

func (s *Session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != open
}
