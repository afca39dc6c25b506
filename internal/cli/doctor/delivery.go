package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"baro.dev/ws"
)

// Delivery is the data of the check delivery.
type Delivery struct {
	Publish Duration            `json:"publish_ms"` // until the server has said that it is published
	Arrived map[string]Duration `json:"arrived_ms"` // by transport, from when the request was sent
	Missing []string            `json:"missing"`    // the transports that it did not come by in time
}

// readers wait for a text over a transport, which is published after a position, until ctx is done. What cannot be opened at all is errNotOpened:
// another check says why.
var readers = []struct {
	name string
	read func(ctx context.Context, e *examination, after, text string) error
}{
	{"websocket", readWebSocket},
	{"event-stream", func(ctx context.Context, e *examination, after, text string) error {
		return readStream(ctx, e, after, text, typeEvents)
	}},
	{"ndjson", func(ctx context.Context, e *examination, after, text string) error {
		return readStream(ctx, e, after, text, typeLines)
	}},
	{"long-poll", readPolls},
}

// checkDelivery publishes a message, and sees when it arrives over each transport that reads the channel.
func checkDelivery(ctx context.Context, e *examination) Result {
	data := &Delivery{Arrived: map[string]Duration{}, Missing: []string{}}
	now, err := e.get(ctx, with(e.path, "after=now"), typeJSON)
	if err != nil {
		return broken(data, "", "no answer: %v", cause(ctx, err))
	}
	after, text := now.header.Get("Baro-Position"), "baro doctor "+rand.Text()
	reading, leave := context.WithCancel(ctx)
	defer leave()
	var all sync.WaitGroup
	arrived, ends := make([]time.Time, len(readers)), make([]error, len(readers))
	for i, r := range readers {
		all.Go(func() {
			ends[i] = r.read(reading, e, after, text)
			arrived[i] = time.Now()
		})
	}
	select { // the answers should have begun
	case <-time.After(min(e.o.Slow/4, 200*time.Millisecond)):
	case <-ctx.Done():
	}
	request := e.request(ctx, http.MethodPost, e.path, typeJSON)
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	request.Body, request.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	start := time.Now()
	a, err := e.fetch(ctx, 1, request)
	data.Publish = Duration(time.Since(start))
	late := time.AfterFunc(e.o.Slow, leave)
	defer late.Stop()
	if err != nil || a.status != http.StatusOK {
		leave()
	}
	all.Wait()
	switch {
	case err != nil:
		return broken(data, "", "nothing could be published: %v", cause(ctx, err))
	case a.status != http.StatusOK:
		return e.refusedBy(data, a.status, a.body)
	}
	var came []string
	for i, r := range readers {
		switch {
		case ends[i] == nil:
			data.Arrived[r.name] = Duration(arrived[i].Sub(start))
			came = append(came, r.name+" "+data.Arrived[r.name].String())
		case !errors.Is(ends[i], errNotOpened):
			data.Missing = append(data.Missing, r.name)
		}
	}
	if len(data.Missing) > 0 {
		detail := fmt.Sprintf("a message did not arrive within %s over %s", Duration(e.o.Slow), strings.Join(data.Missing, ", "))
		if len(came) > 0 {
			detail += "; it did over " + strings.Join(came, ", ")
		}
		return broken(data, holdAdvice(whoIs(e.head)), "%s", detail)
	}
	return ok(data, "published in %s; arrived over %s", data.Publish, strings.Join(came, ", "))
}

func readWebSocket(ctx context.Context, e *examination, after, text string) error {
	opening, cancel := context.WithTimeout(ctx, e.o.Slow)
	defer cancel()
	c, _, err := ws.Dial(opening, asWebSocket(with(e.path, "after="+after)), e.dialOptions())
	if err != nil {
		return errNotOpened
	}
	defer c.CloseNow()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if bytes.Contains(m.Data, []byte(text)) {
			return nil
		}
	}
	return io.EOF
}

// readStream reads what may be held back from its head on.
func readStream(ctx context.Context, e *examination, after, text, accept string) error {
	response, err := e.client(1).Do(e.request(ctx, http.MethodGet, with(e.path, "after="+after), accept))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return contains(response.Body, text)
}

// readPolls polls again after what others have said.
func readPolls(ctx context.Context, e *examination, after, text string) error {
	for {
		a, err := e.get(ctx, with(e.path, "wait=30s&after="+after), typeJSON)
		switch {
		case err != nil:
			return err
		case a.status != http.StatusOK:
			return errors.New(statusLine(a.status))
		case bytes.Contains(a.body, []byte(text)):
			return nil
		}
		after = a.header.Get("Baro-Position")
	}
}

// maxSeen is how much is read of a channel on which others talk, in bytes, to find a message.
const maxSeen = 16 << 20

// contains reads until text has come. Text has no character that JSON would write in another way.
func contains(r io.Reader, text string) error {
	r = io.LimitReader(r, maxSeen)
	var kept []byte
	buffer := make([]byte, 16<<10)
	for {
		n, err := r.Read(buffer)
		kept = append(kept, buffer[:n]...)
		if bytes.Contains(kept, []byte(text)) {
			return nil
		}
		kept = kept[max(len(kept)-len(text), 0):]
		if err != nil {
			return err
		}
	}
}
