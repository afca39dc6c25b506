package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"baro.dev/engineio/client"
	"baro.dev/internal/neterr"
	"baro.dev/ws"
)

// Held is the data of the check idle: what was held open, by what it is.
type Held struct {
	Name string   `json:"name"` // websocket, websocket-pinging, event-stream, long-poll or socketio
	For  Duration `json:"for_ms"`
	// End is how it was cut: fin, rst, close, a status of HTTP, or else the error; "" if it was not.
	End    string `json:"end"`
	Code   int    `json:"code,omitempty"`   // of the close frame
	Reason string `json:"reason,omitempty"` // of the close frame
	// Silence is the longest time that nothing came from the server.
	Silence Duration `json:"silence_ms"`
}

// errNotOpened is that there is nothing to hold.
var errNotOpened = errors.New("not opened")

// String says it to people.
func (h *Held) String() string {
	how := map[string]string{"fin": "the end of the connection (FIN)", "rst": "a reset (RST)"}[h.End]
	switch {
	case h.End == "close":
		how = fmt.Sprintf("the server's close frame %d %s", h.Code, h.Reason)
	case how == "":
		how = h.End
	}
	return fmt.Sprintf("%s after %s by %s", h.Name, h.For, strings.TrimSpace(how))
}

// checkIdle holds connections over which nothing is sent, and one over which there are pings.
func checkIdle(ctx context.Context, e *examination) Result {
	var mu sync.Mutex
	held := []Held{}
	var all sync.WaitGroup
	hold := func(name string, what func(ctx context.Context, seen *watch) error) {
		all.Go(func() {
			seen := newWatch()
			start := time.Now()
			end := what(ctx, seen)
			if errors.Is(end, errNotOpened) {
				return // another check says why
			}
			h := seen.held(end)
			h.Name, h.For = name, Duration(time.Since(start))
			mu.Lock()
			defer mu.Unlock()
			held = append(held, h)
		})
	}
	switch e.kind {
	case SocketIO:
		hold("socketio", e.holdEngine)
	case Channel, WebSocket:
		hold("websocket", func(ctx context.Context, seen *watch) error { return e.holdWebSocket(ctx, seen, 0) })
		hold("websocket-pinging", func(ctx context.Context, seen *watch) error { return e.holdWebSocket(ctx, seen, e.o.Idle/4) })
	}
	switch e.kind {
	case Channel:
		hold("event-stream", e.holdStream)
		hold("long-poll", e.holdPoll)
	case Events:
		hold("event-stream", e.holdStream)
	}
	all.Wait()
	slices.SortFunc(held, func(a, b Held) int { return cmp.Compare(a.Name, b.Name) })
	return e.judgeIdle(held)
}

// judgeIdle says what it means.
func (e *examination) judgeIdle(held []Held) Result {
	var cut, lived []string
	var first *Held
	var silence, life Duration
	pings := false
	for i := range held {
		h := &held[i]
		if h.End == "" {
			lived = append(lived, h.Name)
			silence, life = max(silence, h.Silence), max(life, h.For)
			pings = pings || h.Name == "websocket-pinging"
			continue
		}
		cut = append(cut, h.String())
		if first == nil || h.For < first.For {
			first = h
		}
	}
	switch {
	case len(held) == 0:
		return skipped("nothing could be held open")
	case first == nil:
		return ok(held, "%s lived for %s; the server was silent for %s at most", strings.Join(lived, ", "), life, silence)
	case first.End == "close":
		return broken(held, "The server itself closes, and says why: see its own timeouts and its log.", "cut: %s", strings.Join(cut, "; "))
	case slices.ContainsFunc(held, func(h Held) bool { return h.Name == "websocket-pinging" && h.End != "" }):
		return broken(held, "Pings do not keep it: something limits how long a connection may last at all, silent or not. Look for such a limit in the proxy or platform.", "cut: %s", strings.Join(cut, "; "))
	}
	detail := "cut: " + strings.Join(cut, "; ")
	if len(lived) > 0 {
		detail += "; " + strings.Join(lived, ", ") + " lived"
	}
	advice := idleAdvice(whoIs(e.head))
	if pings {
		advice += fmt.Sprintf(". A sign of life more often than every %s keeps it open, too (--heartbeat and --max-wait of baro serve)", first.For)
	}
	return broken(held, advice+".", "%s", detail)
}

// holdWebSocket holds one, and pings each interval, if that is not 0. Like others that hold something it returns how that ended, nil if it did not.
func (e *examination) holdWebSocket(ctx context.Context, seen *watch, interval time.Duration) error {
	o := e.dialOptions()
	dial := o.DialContext
	o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &watched{conn, seen}, nil
	}
	opening, cancel := context.WithTimeout(ctx, e.o.Timeout/2)
	defer cancel()
	c, _, err := ws.Dial(opening, asWebSocket(e.webSocketURL()), o)
	if err != nil {
		return errNotOpened
	}
	defer c.CloseNow()
	seen.begin()
	holding, done := context.WithTimeout(ctx, e.o.Idle)
	defer done()
	if interval > 0 {
		go func() {
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if _, err := c.Ping(holding); err != nil {
						return
					}
				case <-holding.Done():
					return
				}
			}
		}()
	}
	for _, err := range c.Messages(holding) {
		if err == nil {
			continue
		}
		if holding.Err() != nil {
			return nil
		}
		return err
	}
	return nil
}

// holdEngine holds a session of Engine.IO, whose pings are the server's.
func (e *examination) holdEngine(ctx context.Context, seen *watch) error {
	ended := make(chan error, 1)
	o := e.engineOptions(client.WebSocket)
	o.OnClose = func(_ *client.Session, err error) { ended <- err }
	o.OnPing = func(*client.Session) { seen.heard() }
	s, _, err := e.openEngine(ctx, o)
	if err != nil {
		return errNotOpened
	}
	defer s.CloseNow()
	seen.begin()
	select {
	case err := <-ended:
		return err
	case <-time.After(e.o.Idle):
	case <-ctx.Done():
	}
	return nil
}

func (e *examination) holdStream(ctx context.Context, seen *watch) error {
	s, err := e.openStream(ctx, e.path, typeEvents)
	if err != nil {
		return errNotOpened
	}
	defer s.close()
	if s.status != http.StatusOK {
		return errNotOpened
	}
	seen.begin()
	over := time.AfterFunc(e.o.Idle, func() { s.cancel(nil) })
	defer over.Stop()
	buffer := make([]byte, 4<<10)
	for {
		n, err := s.body.Read(buffer)
		if n > 0 {
			seen.heard()
		}
		if errors.Is(err, context.Canceled) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// holdPoll has a poll wait as long as the server lets it.
func (e *examination) holdPoll(ctx context.Context, seen *watch) error {
	holding, cancel := context.WithTimeout(ctx, e.o.Idle)
	defer cancel()
	seen.begin()
	a, err := e.get(holding, with(e.path, "after=now&wait="+e.o.Idle.String()), typeJSON)
	switch {
	case holding.Err() != nil:
		return nil
	case err != nil:
		return err
	case a.status/100 == 5:
		return errors.New(statusLine(a.status))
	}
	if a.status != http.StatusOK {
		return errNotOpened
	}
	return nil
}

// watch is what was seen of a connection.
type watch struct {
	mu      sync.Mutex
	last    time.Time
	silence time.Duration
	end     error // of reading
}

func newWatch() *watch { return &watch{last: time.Now()} }

// begin forgets what was before.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.silence = time.Now(), 0
}

func (w *watch) heard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silence, w.last = max(w.silence, time.Since(w.last)), time.Now()
}

// held says how it ended; nil: it did not.
func (w *watch) held(end error) Held {
	w.heard()
	w.mu.Lock()
	defer w.mu.Unlock()
	h := Held{Silence: Duration(w.silence)}
	closed, isClosed := errors.AsType[*ws.CloseError](end)
	below := cmp.Or(w.end, end)
	switch {
	case end == nil:
	case isClosed && closed.Remote:
		h.End, h.Code, h.Reason = "close", int(closed.Code), closed.Reason
	case errors.Is(below, neterr.ErrReset):
		h.End = "rst"
	case errors.Is(below, io.EOF), errors.Is(below, io.ErrUnexpectedEOF):
		h.End = "fin"
	default:
		h.End = strings.TrimPrefix(end.Error(), "engineio/client: ")
	}
	return h
}

// watched is a connection of which is seen what comes, and how it ends.
type watched struct {
	net.Conn
	seen *watch
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.seen.heard()
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		w.seen.mu.Lock()
		defer w.seen.mu.Unlock()
		if w.seen.end == nil {
			w.seen.end = err
		}
	}
	return n, err
}
