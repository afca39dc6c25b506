package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
)

// Whatever the transport and however often it is cut, a client ends with every message, in order, once.
func TestEveryTransportReceivesEverything(t *testing.T) {
	const publishers, each, clients = 4, 250, 3
	s := start(t, Config{Channels: channel.Options{HistoryCount: publishers * each}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for name, read := range readers {
		for i := range clients {
			wg.Go(func() {
				if err := readAll(ctx, client(t), s.url("/c/all"), read, publishers, each); err != nil {
					t.Errorf("%s %d: %v", name, i, err)
				}
			})
		}
	}
	for p := range publishers {
		wg.Go(func() {
			c := client(t)
			for i := range each {
				kind := []string{"text/plain", "application/octet-stream"}[i%2]
				response, err := c.Post(s.url("/c/all?event=e"), kind, strings.NewReader(fmt.Sprintf("%d/%d", p, i)))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("status %d", response.StatusCode)
				}
			}
		})
	}
	wg.Wait()
}

// readAll reads what publishers have sent, cutting the connection now and then and coming back.
func readAll(ctx context.Context, c *http.Client, url string, read reader, publishers, each int) error {
	var last channel.Position
	next := make([]int, publishers)
	for last.Offset < uint64(publishers*each) {
		after := ""
		if last.Offset > 0 {
			after = last.String()
		}
		left := 1 + rand.IntN(200) // until the next cut
		var wrong error
		err := read(ctx, c, url, after, func(m channel.Message) bool {
			var p, i int
			fmt.Sscanf(string(m.Data), "%d/%d", &p, &i)
			if m.Offset != last.Offset+1 || next[p] != i || m.Binary != (i%2 == 1) || m.Event != "e" {
				wrong = fmt.Errorf("after %v, with %d due of publisher %d, came %+v", last, next[p], p, m)
				return false
			}
			next[p]++
			last = m.Position()
			left--
			return left > 0 && last.Offset < uint64(publishers*each)
		})
		if wrong != nil {
			return wrong
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// The same message is the same everywhere, whatever is in it; but for line breaks in event streams, which are all LF.
func TestContentsOnEveryTransport(t *testing.T) {
	messages := []channel.Message{
		{Data: []byte("plain")},
		{Data: nil},
		{Data: []byte("\n")},
		{Data: []byte("\n\n")},
		{Data: []byte("two\nlines\n")},
		{Data: []byte(" leading space, : and colon")},
		{Data: []byte("data: forged\n\nevent: baro.reset\nid: FORGED:1\n\ndata: more")},
		{Data: []byte("\x00\x01\x1f\x7f\u0085\u2028\u2029\ufeff\U0001f642 메세지 \"\\/")},
		{Data: []byte("carriage\rreturn\r\nboth\n\rturned")},
		{Data: bytes.Repeat([]byte("long "), 50_000)},
		{Event: "named", Data: []byte("x")},
		{Event: "message", Data: []byte("called as the usual kind")},
		{Event: "이름", ID: "아이디", Data: []byte("x")},
		{Binary: true, Data: []byte{0, 255, '\r', '\n'}},
		{Binary: true, Data: nil},
		{Binary: true, Event: "named", Data: bytes.Repeat([]byte{0xfe}, 200_000)},
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{})
			for _, m := range messages {
				if _, err := s.Hub().Publish("a", m); err != nil {
					t.Fatal(err)
				}
			}
			i := 0
			err := read(t.Context(), client(t), s.url("/c/a"), "", func(got channel.Message) bool {
				want := messages[i]
				if name == "SSE" && !want.Binary {
					want.Data = []byte(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(want.Data)))
				}
				if name == "SSE" && want.Event == "message" {
					want.Event = ""
				}
				if !bytes.Equal(got.Data, want.Data) || got.Binary != want.Binary || got.Event != want.Event || got.Offset != uint64(i+1) {
					t.Errorf("message %d: got %.200q of event %q, want %.200q of %q", i, got.Data, got.Event, want.Data, want.Event)
				}
				i++
				return i < len(messages)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A stream begins with the next message, but what follows its beginning must not be lost, even where it is cut before
// anything came.
func TestEventStreamStartsWithItsPosition(t *testing.T) {
	s := start(t, Config{})
	at := publishText(t, s, "a", "before").Position()
	ctx, cut := context.WithCancel(t.Context())
	response, err := open(ctx, client(t), s.url("/c/a"), typeSSE)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Baro-Position"); got != at.String() {
		t.Errorf("Baro-Position %q, want %q", got, at)
	}
	for header, want := range map[string]string{"Content-Type": typeSSE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
		if got := response.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	head := make([]byte, 256)
	n, err := response.Body.Read(head)
	if want := "retry: 2000\nid: " + at.String() + "\n\n"; err != nil || string(head[:n]) != want {
		t.Errorf("it begins with %q, %v; want %q", head[:n], err, want)
	}
	cut()
	response.Body.Close()
	publishText(t, s, "a", "while away")

	response, err = open(t.Context(), client(t), s.url("/c/a"), typeSSE, "Last-Event-ID", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if e, err := newEvents(response.Body).next(); err != nil || e.data != "while away" {
		t.Errorf("got %+v, %v", e, err)
	}
}

// What is not recoverable, or not even a position, is told by an event: an error would keep the browser away for good.
func TestLastEventID(t *testing.T) {
	s := start(t, Config{Channels: channel.Options{HistoryCount: 2}})
	at := publishText(t, s, "a", "1", "2", "3", "4").Position()
	ids := []string{
		"1", "4", "x", ":", "OTHER:4", at.Epoch + ":1", at.Epoch + ":5", at.Epoch + ":99999999999999999999", at.Epoch + ": 4", "<script>",
		strings.Repeat("9", 8000), strings.Repeat("A", 8000) + ":1",
	}
	for _, id := range ids {
		response, err := open(t.Context(), client(t), s.url("/c/a?after=oldest"), typeSSE, "Last-Event-ID", id)
		if err != nil {
			t.Errorf("%.40q: %v", id, err)
			continue
		}
		stream := newEvents(response.Body)
		want := fmt.Sprintf(`{"epoch":%q,"offset":%d}`, at.Epoch, at.Offset)
		if e, err := stream.next(); err != nil || e.name != "baro.reset" || e.data != want || e.id != at.String() {
			t.Errorf("%.40q: got %+v, %v; want the event baro.reset", id, e, err)
		}
		at = publishText(t, s, "a", "next").Position()
		if e, err := stream.next(); err != nil || e.data != "next" || e.id != at.String() {
			t.Errorf("%.40q: then %+v, %v", id, e, err)
		}
		response.Body.Close()
	}
	two, body := raw(t, s, "GET /c/a HTTP/1.0\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: "+strings.Repeat("9", 40_000)+"\r\n\r\n")
	if two.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("40 kB of it: status %d, %s", two.StatusCode, body)
	}
}

func TestEventStreamOfEnvelopes(t *testing.T) {
	s := start(t, Config{})
	if _, err := s.Hub().Publish("a", channel.Message{ID: "mine", Event: "price", Data: []byte("a\r\nb")}); err != nil {
		t.Fatal(err)
	}
	response, err := open(t.Context(), client(t), s.url("/c/a?after=0&format=json"), typeSSE)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	e, err := newEvents(response.Body).next()
	if err != nil {
		t.Fatal(err)
	}
	var m channel.Message
	if err := m.UnmarshalJSON([]byte(e.data)); err != nil || m.ID != "mine" || m.Event != "price" || string(m.Data) != "a\r\nb" || e.id != m.Position().String() || e.name != "message" {
		t.Errorf("got %+v, %v", e, err)
	}
	if response, body := request(t, "GET", s.url("/c/a?format=xml"), "", "Accept", typeSSE); response.StatusCode != http.StatusBadRequest {
		t.Errorf("format=xml: %s", body)
	}
}

// Clients that go are noticed, and leave nothing behind.
func TestStreamsLeaveNothingBehind(t *testing.T) {
	s := start(t, Config{})
	before := runtime.NumGoroutine()
	ctx, cut := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			response, err := open(ctx, c, s.url("/c/a?wait=60s&after=now"), []string{typeSSE, typeNDJSON, typeJSON}[i%3])
			if err != nil {
				return // a poll that was cut
			}
			defer response.Body.Close()
			_, _ = io.Copy(io.Discard, response.Body)
		})
	}
	eventually(t, "all are counted", func() bool { return s.used() == 30 })
	cut()
	wg.Wait()
	eventually(t, "none is counted", func() bool { return s.used() == 0 })
	eventually(t, "their goroutines are gone", func() bool { return runtime.NumGoroutine() <= before+2 })
	eventually(t, "their connections are gone", func() bool { return s.connections.open.Load() == 0 })
}

func FuzzEventStream(f *testing.F) {
	f.Add("", "text", false)
	f.Add("name", "a\r\nb\rc\n\nid: x\n", false)
	f.Add("이름", "\x00\xff", true)
	f.Fuzz(func(t *testing.T, name, data string, binary bool) {
		h := channel.NewHub(nil)
		m, err := h.Publish("a", channel.Message{Event: name, Data: []byte(data), Binary: binary})
		if err != nil {
			return
		}
		stream := newEvents(bytes.NewReader(sseMessage(m)))
		e, err := stream.next()
		if err != nil {
			t.Fatal(err)
		}
		wantName := name
		if name == "" {
			wantName = "message"
		}
		wantData := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)
		if binary {
			wantName += ";base64"
			wantData = e.data
		}
		if e.name != wantName || e.data != wantData || e.id != m.Position().String() {
			t.Errorf("%+v arrives as %+v", m, e)
		}
		if again, err := stream.next(); !errors.Is(err, io.EOF) {
			t.Errorf("and then %+v, %v", again, err)
		}
	})
}
