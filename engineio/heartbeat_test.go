package engineio_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/engineio"
)

// bubble is a server without a network, for clients by polling whose time is that of synctest.
type bubble struct {
	t      *testing.T
	server *engineio.Server
	ends   <-chan *engineio.CloseError
	start  time.Time
}

func inBubble(t *testing.T, e *engineio.Server, f func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t, e, ends(e), time.Now()}
		f(b)
		e.Close()
		synctest.Wait()
		time.Sleep(time.Second) // goroutines are kept for a moment
		synctest.Wait()
		if engineio.Beating(e) {
			t.Error("the heart beats for nobody")
		}
	})
}

func (b *bubble) do(method, query, body string) answer {
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, httptest.NewRequestWithContext(b.t.Context(), method, "/engine.io/?transport=polling&"+query, strings.NewReader(body)))
	return answer{w.Code, w.Header(), w.Body.String(), nil}
}

func (b *bubble) open(eio string) string {
	a := b.do("GET", "EIO="+eio, "")
	_, packet, _ := strings.Cut(a.body, "0{")
	return parseHello(b.t, "0{"+packet).SID
}

// at waits until so much time has passed since the beginning.
func (b *bubble) at(d time.Duration) {
	time.Sleep(time.Until(b.start.Add(d)))
	synctest.Wait()
}

// expectAt expects that something happens a few milliseconds around a time.
func (b *bubble) expectAt(what string, early, late time.Duration, at time.Duration) {
	b.t.Helper()
	if got := time.Since(b.start); got < at-early || got > at+late {
		b.t.Errorf("%s at %v, want %v", what, got, at)
	}
}

const ms = time.Millisecond

// A ping leaves every interval, and who does not answer in time is gone a few milliseconds later.
func TestHeartbeat(t *testing.T) {
	inBubble(t, echo(), func(b *bubble) {
		sid := b.open("4")
		next := 300 * ms
		for range 5 {
			if a := b.do("GET", "EIO=4&sid="+sid, ""); a.body != "2" {
				t.Fatal(a)
			}
			b.expectAt("ping", 5*ms, 0, next)
			time.Sleep(50 * ms)
			next = time.Since(b.start) + 300*ms // counted from the answer
			b.do("POST", "EIO=4&sid="+sid, "3")
		}
		if a := b.do("GET", "EIO=4&sid="+sid, ""); a.body != "2" {
			t.Fatal(a)
		}
		if a := b.do("GET", "EIO=4&sid="+sid, ""); a.body != "1" { // waits until the end
			t.Error(a)
		}
		b.expectAt("end", 5*ms, 10*ms, next+200*ms)
		if err := receive(t, "OnClose", b.ends); err.Reason != engineio.PingTimeout {
			t.Error(err)
		}
	})
}

// Whatever comes while a ping is out extends the wait once.
func TestHeartbeatExtended(t *testing.T) {
	inBubble(t, echo(), func(b *bubble) {
		sid := b.open("4")
		for _, at := range []time.Duration{400 * ms, 600 * ms} { // after the ping, and after the extension
			b.at(at)
			b.do("POST", "EIO=4&sid="+sid, "4x").expect(t, 200, "ok")
		}
		b.at(690 * ms)
		if b.server.Len() != 1 {
			t.Error("it ended too soon")
		}
		b.at(720 * ms)
		if b.server.Len() != 0 {
			t.Error("it has been extended twice")
		}
	})
}

// The pings do not wait for the time in which a client might have answered the one before.
func TestHeartbeatShorterThanTimeout(t *testing.T) {
	e := echo()
	e.Options.PingInterval, e.Options.PingTimeout = 100*ms, 2*time.Second
	inBubble(t, e, func(b *bubble) {
		sid := b.open("4")
		for i := range 10 {
			if a := b.do("GET", "EIO=4&sid="+sid, ""); a.body != "2" {
				t.Fatal(a)
			}
			b.expectAt("ping", 5*ms*time.Duration(i+1), 0, time.Duration(i+1)*100*ms)
			b.do("POST", "EIO=4&sid="+sid, "3")
		}
	})
}

// A request that comes when the client is overdue is refused, whenever the heart would have looked.
func TestOverdueRequest(t *testing.T) {
	for _, eio := range []string{"3", "4"} {
		for phase := range 20 { // of the heart
			inBubble(t, echo(), func(b *bubble) {
				b.open("4")
				b.at(time.Duration(phase) * ms)
				sid := b.open(eio)
				b.at(time.Duration(phase+500) * ms)
				b.do("GET", "EIO="+eio+"&sid="+sid, "").expect(t, 400, `{"code":1,"message":"Session ID unknown"}`)
			})
		}
	}
}

// In protocol 3 the client pings, and whatever it sends shows that it is there.
func TestHeartbeat3(t *testing.T) {
	inBubble(t, echo(), func(b *bubble) {
		sid := b.open("3")
		for i, packet := range []string{"1:2", "2:4x", "1:6"} {
			b.at(time.Duration(i+1) * 490 * ms)
			b.do("POST", "EIO=3&sid="+sid, packet).expect(t, 200, "ok")
		}
		b.do("GET", "EIO=3&sid="+sid, "").expect(t, 200, "1:32:4x")
		b.do("GET", "EIO=3&sid="+sid, "").expect(t, 200, "1:1")
		b.expectAt("end", 0, 10*ms, (3*490+500)*ms)
		if err := receive(t, "OnClose", b.ends); err.Reason != engineio.PingTimeout {
			t.Error(err)
		}
	})
}

// A heartbeat in the wrong direction is none.
func TestWrongHeartbeat(t *testing.T) {
	for eio, packet := range map[string]string{"3": "1:3", "4": "2"} {
		inBubble(t, echo(), func(b *bubble) {
			sid := b.open(eio)
			if a := b.do("POST", "EIO="+eio+"&sid="+sid, packet); a.status != 400 {
				t.Error(a)
			}
			expectReason(t, b.ends, engineio.TransportError)
		})
	}
}

// With the default options a dead client is found after 45 s.
func TestDefaultHeartbeat(t *testing.T) {
	inBubble(t, &engineio.Server{}, func(b *bubble) {
		for range 100 {
			b.open("4")
			time.Sleep(10 * ms)
		}
		b.at(44 * time.Second)
		if n := b.server.Len(); n != 100 {
			t.Errorf("%d sessions", n)
		}
		b.at(47 * time.Second)
		if n := b.server.Len(); n != 0 || engineio.Beating(b.server) {
			t.Errorf("%d sessions, beating: %v", n, engineio.Beating(b.server))
		}
	})
}

// Who is not read, since the handler is slow, is not taken for dead while its polls come, however long that lasts; afterwards it has
// to answer.
func TestHeartbeatWhileHandlerBlocks(t *testing.T) {
	for _, eio := range []string{"3", "4"} {
		e := echo()
		release := make(chan struct{})
		e.OnMessage = func(*engineio.Session, engineio.Message) { <-release }
		synctestPost := func(b *bubble, sid string) {
			body := "4" + strings.Repeat("x", 300_000)
			if eio == "3" {
				b.do("POST", "EIO=3&sid="+sid, "300001:"+body+"300001:"+body+"1:2")
				return
			}
			b.do("POST", "EIO=4&sid="+sid, body+"\x1e"+body+"\x1e3")
		}
		inBubble(t, e, func(b *bubble) {
			release = make(chan struct{})
			sid := b.open(eio)
			go synctestPost(b, sid)
			go func() {
				for time.Since(b.start) < 10*time.Second {
					b.do("GET", "EIO="+eio+"&sid="+sid, "")
				}
			}()
			b.at(10 * time.Second)
			if b.server.Len() != 1 {
				t.Error("it was taken for dead")
			}
			close(release)
			synctest.Wait()
			b.at(10*time.Second + 190*ms)
			if b.server.Len() != 1 {
				t.Error("it had no time to answer")
			}
			b.at(11*time.Second + 500*ms)
			if b.server.Len() != 0 {
				t.Error("it is not found dead")
			}
		})
	}
}
