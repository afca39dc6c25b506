package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"baro.dev/channel"
	"baro.dev/ws"
)

// socketIO is a small Socket.IO client of protocol 5: as much of one as reading and publishing needs.
type socketIO struct {
	link interface {
		send(ctx context.Context, packets ...string) error
		next(ctx context.Context) (text string, binary []byte, err error)
		close()
	}
	acks int
}

// dialSocketIO connects to the namespace "/". auth may be empty.
func (r *reading) dialSocketIO(ctx context.Context, transport, auth string) (*socketIO, error) {
	url := r.url() + "socket.io/?EIO=4&transport=" + transport
	s := new(socketIO)
	if transport == "polling" {
		// A connection for each request: a transport may repeat a GET over another connection, and what the first one took would be lost.
		s.link = &pollLink{http: &http.Client{Transport: &http.Transport{DialContext: r.dial, DisableKeepAlives: true}}, url: url}
	} else {
		c, err := r.dialWebSocket(ctx, url)
		if err != nil {
			return nil, err
		}
		s.link = socketLink{c}
	}
	open, _, err := s.link.next(ctx)
	if err == nil && !strings.HasPrefix(open, "0{") {
		err = fmt.Errorf("%w: it begins with %q", errProtocol, open)
	}
	if p, ok := s.link.(*pollLink); ok && err == nil {
		err = p.opened(open)
	}
	if err == nil {
		err = s.link.send(ctx, "40"+auth)
	}
	if err == nil {
		var connected string
		if connected, _, err = s.next(ctx); err == nil && !strings.HasPrefix(connected, "40{") {
			err = fmt.Errorf("%w: connecting is answered with %q", errProtocol, connected)
		}
	}
	if err != nil {
		s.link.close()
		return nil, err
	}
	return s, nil
}

// next is the next packet that is no ping.
func (s *socketIO) next(ctx context.Context) (string, []byte, error) {
	for {
		text, binary, err := s.link.next(ctx)
		if err != nil || text != "2" {
			return text, binary, err
		}
		if err := s.link.send(ctx, "3"); err != nil {
			return "", nil, err
		}
	}
}

// emit emits an event that is to be acknowledged, and returns the acknowledgement's beginning.
func (s *socketIO) emit(ctx context.Context, args ...any) (ack string, err error) {
	event, err := json.Marshal(args)
	if err != nil {
		return "", err
	}
	s.acks++
	return "43" + strconv.Itoa(s.acks) + "[", s.link.send(ctx, "42"+strconv.Itoa(s.acks)+string(event))
}

// message reads the event "message", of which there are attachments yet to come.
func (s *socketIO) message(ctx context.Context, packet string) (m channel.Message, err error) {
	attached := false
	if rest, ok := strings.CutPrefix(packet, "451-"); ok {
		packet, attached = rest, true
	} else {
		packet = strings.TrimPrefix(packet, "42")
	}
	var name string
	var arg struct {
		Offset uint64
		Epoch  string
		Data   json.RawMessage
	}
	if err := json.Unmarshal([]byte(packet), &[]any{&name, &arg}); err != nil || name != "message" {
		return m, fmt.Errorf("%w: %w, an event %.200s", errProtocol, err, packet)
	}
	m = channel.Message{Offset: arg.Offset, Epoch: arg.Epoch, Binary: attached}
	if attached {
		_, m.Data, err = s.next(ctx)
		return m, err
	}
	var text string
	if err := json.Unmarshal(arg.Data, &text); err != nil {
		return m, fmt.Errorf("%w: data is %.200s", errProtocol, arg.Data)
	}
	m.Data = []byte(text)
	return m, nil
}

func readSocketIO(ctx context.Context, r *reading, transport string) error {
	s, err := r.dialSocketIO(ctx, transport, "")
	if err != nil {
		return err
	}
	defer s.link.close()
	ack, err := s.emit(ctx, "subscribe", r.name, map[string]string{"after": r.after()})
	if err != nil {
		return err
	}
	for {
		packet, _, err := s.next(ctx)
		switch {
		case err != nil:
			return err
		case packet == "41":
			return io.EOF
		case strings.HasPrefix(packet, ack):
			if strings.Contains(packet, "not_recoverable") {
				return fmt.Errorf("%w: %s", errReset, packet)
			}
			if strings.Contains(packet, `"store_failed"`) { // the server is there before what joins it with others
				return io.EOF
			}
			if strings.Contains(packet, `"error"`) {
				return fmt.Errorf("%w: %s", errProtocol, packet)
			}
		case strings.HasPrefix(packet, `42["closing"`): // its connection is about to end
		case strings.HasPrefix(packet, `42["unsubscribed"`):
			return io.EOF // it was too slow
		case strings.HasPrefix(packet, `42["closing"`): // the end follows
		default:
			m, err := s.message(ctx, packet)
			if err != nil {
				return err
			}
			if !r.accept(m) {
				return nil
			}
		}
	}
}

// socketLink is a WebSocket.
type socketLink struct{ c *ws.Conn }

func (l socketLink) send(ctx context.Context, packets ...string) error {
	for _, p := range packets {
		if err := l.c.Write(ctx, ws.Text, []byte(p)); err != nil {
			return err
		}
	}
	return nil
}

func (l socketLink) next(ctx context.Context) (string, []byte, error) {
	m, err := l.c.Read(ctx)
	if err != nil || m.Type == ws.Binary {
		return "", m.Data, err
	}
	return string(m.Data), nil, nil
}

func (l socketLink) close() { _ = l.c.CloseNow() }

// pollLink is HTTP long polling.
type pollLink struct {
	http  *http.Client
	url   string
	ready []string
}

// opened takes the session's id from the first packet.
func (l *pollLink) opened(open string) error {
	var o struct{ SID string }
	if err := json.Unmarshal([]byte(open[1:]), &o); err != nil || o.SID == "" {
		return fmt.Errorf("%w: %q", errProtocol, open)
	}
	l.url += "&sid=" + o.SID
	return nil
}

func (l *pollLink) do(ctx context.Context, method string, body io.Reader) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, l.url, body)
	if err != nil {
		return "", err
	}
	response, err := l.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d, %s", response.StatusCode, text) // of a session that a cut has ended
	}
	return string(text), err
}

func (l *pollLink) send(ctx context.Context, packets ...string) error {
	_, err := l.do(ctx, http.MethodPost, strings.NewReader(strings.Join(packets, "\x1e")))
	return err
}

func (l *pollLink) next(ctx context.Context) (string, []byte, error) {
	if len(l.ready) == 0 {
		text, err := l.do(ctx, http.MethodGet, nil)
		if err != nil {
			return "", nil, err
		}
		l.ready = strings.Split(text, "\x1e")
	}
	packet := l.ready[0]
	l.ready = l.ready[1:]
	switch {
	case packet == "1" || packet == "":
		return "", nil, io.EOF
	case packet == "6":
		return l.next(ctx)
	case packet[0] == 'b':
		binary, err := base64.StdEncoding.DecodeString(packet[1:])
		if err != nil {
			err = errors.Join(errProtocol, err)
		}
		return "", bytes.Clone(binary), err
	}
	return packet, nil, nil
}

func (l *pollLink) close() {}
