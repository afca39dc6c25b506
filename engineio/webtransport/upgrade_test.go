package webtransport_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/engineio"
)

// What is sent while it changes transports arrives once and in order, both ways.
func TestUpgrade(t *testing.T) {
	noLeaks(t)
	const n = 10_000
	received := make(chan string, n)
	h := serve(t, &engineio.Server{OnMessage: func(_ *engineio.Session, m engineio.Message) { received <- string(m.Data) }})
	p := h.poller(t)
	sid, upgrades := p.open()
	if !slices.Equal(upgrades, []string{engineio.WebSocket, engineio.WebTransport}) {
		t.Errorf("offered %q", upgrades)
	}
	s := within(t, "OnOpen", h.opened)

	sent := make(chan error, 1)
	begun, upgraded := make(chan struct{}), make(chan struct{})
	go func() {
		for i := range n {
			switch i {
			case n / 10:
				close(begun)
			case 9 * n / 10: // the rest cannot come by polling
				<-upgraded
			}
			if err := s.Send(engineio.Message{Data: fmt.Appendf(nil, "%d", i)}); err != nil {
				sent <- err
				return
			}
			if i%100 == 0 {
				time.Sleep(time.Millisecond) // so that most is sent while the client upgrades
			}
		}
		sent <- nil
	}()

	// The client polls until it is told that it may upgrade, and posts meanwhile.
	var got []string
	probed, polled := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(polled)
		for {
			_, body, err := p.do("GET", "")
			if err != nil {
				t.Error(err)
				return
			}
			for packet := range strings.SplitSeq(body, "\x1e") {
				if packet != "6" {
					got = append(got, packet)
				}
			}
			select {
			case <-probed: // no poll is out any more
				return
			default:
			}
		}
	}()
	next := 0
	burst := func(k int) []string {
		packets := make([]string, k)
		for i := range packets {
			packets[i] = fmt.Sprintf("4%d", next)
			next++
		}
		return packets
	}
	<-begun
	p.post(strings.Join(burst(n/10), "\x1e"))
	c := h.connect(t)
	c.send(upgradeTo(sid), "2probe")
	p.post(strings.Join(burst(n/10), "\x1e"))
	c.expect("3probe")
	close(probed)
	within(t, "the last poll", polled)
	p.post(strings.Join(burst(n/10), "\x1e"))
	c.send("5")
	close(upgraded)
	go func() {
		for _, packet := range burst(n - next) {
			if _, err := c.stream.Write(frame(false, packet)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	polls := len(got)
	for len(got) < n {
		if packet := c.receive(); packet != "6" {
			got = append(got, packet)
		}
	}
	if err := within(t, "the sender", sent); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if want := fmt.Sprint("4", i); got[i] != want {
			t.Fatalf("message %d is %q", i, got[i])
		}
		if m := within(t, "a message", received); m != fmt.Sprint(i) {
			t.Fatalf("the server's message %d is %q", i, m)
		}
	}
	if polls == 0 || polls == n {
		t.Errorf("%d messages by polling", polls)
	}
	if s.Transport() != engineio.WebTransport {
		t.Error(s.Transport())
	}
	if status, body, err := p.do("GET", ""); status != 400 || err != nil {
		t.Error("polling goes on:", status, body, err)
	}
}

// An upgrade that fails leaves polling alone.
func TestUpgradeFails(t *testing.T) {
	noLeaks(t)
	h := serve(t, &engineio.Server{Options: engineio.Options{AllowEIO3: true}})
	h.Hasten()
	tests := map[string]func(c *client, sid string){
		"foreign id":       func(c *client, sid string) { c.send(upgradeTo(sid + "x")) },
		"empty id":         func(c *client, sid string) { c.send(upgradeTo("")) },
		"no probe":         func(c *client, sid string) { c.send(upgradeTo(sid), "5") },
		"message as probe": func(c *client, sid string) { c.send(upgradeTo(sid), "4hello") },
		"probe twice":      func(c *client, sid string) { c.send(upgradeTo(sid), "2probe", "2probe") },
		"message after it": func(c *client, sid string) { c.send(upgradeTo(sid), "2probe", "4hello") },
		"wrong probe":      func(c *client, sid string) { c.send(upgradeTo(sid), "2probes") },
		"malformed frame":  func(c *client, sid string) { c.send(upgradeTo(sid), "2probe"); _, _ = c.stream.Write([]byte{0}) },
		"stream's end":     func(c *client, sid string) { c.send(upgradeTo(sid), "2probe"); _ = c.stream.Close() },
		"session's end":    func(c *client, sid string) { c.send(upgradeTo(sid), "2probe"); _ = c.session.CloseWithError(0, "") },
		"stream's reset": func(c *client, sid string) {
			c.send(upgradeTo(sid), "2probe")
			c.stream.CancelWrite(1)
			c.stream.CancelRead(1)
		},
		"another is at work": func(c *client, sid string) {},
	}
	for name, attempt := range tests {
		t.Run(name, func(t *testing.T) {
			p := h.poller(t)
			sid, _ := p.open()
			s := within(t, "OnOpen", h.opened)
			c := h.connect(t)
			if name == "another is at work" {
				first := h.connect(t)
				first.send(upgradeTo(sid), "2probe")
				first.expect("3probe")
				c.send(upgradeTo(sid)) // it is refused for that, perhaps before more can be sent
			} else {
				attempt(c, sid)
			}
			c.ended()
			p.post("4still here")
			for {
				body := p.get()
				if body == "4still here" {
					break
				} else if body != "6" {
					t.Fatalf("%q", body)
				}
			}
			s.CloseNow()
			within(t, "OnClose", h.closed)
		})
	}
}
