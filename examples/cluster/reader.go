package main

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// reader reads a channel by an event stream, as EventSource does in a browser behind a balancer: when the stream ends it opens another
// one, here at the next server, and says which message it had last.
type reader struct {
	channel string
	urls    []string // the first is where it reads
	last    string   // the id of the last message
	stream  *http.Response
	lines   *bufio.Scanner
}

type message struct{ from, data string }

func newReader(channel string, urls ...string) *reader { return &reader{channel: channel, urls: urls} }

func (r *reader) open(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.urls[0]+"/c/"+r.channel, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	if r.last != "" {
		request.Header.Set("Last-Event-ID", r.last)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return errors.New(response.Status)
	}
	r.stream, r.lines = response, bufio.NewScanner(response.Body)
	return nil
}

func (r *reader) close() { r.stream.Body.Close() }

// next is the next message, wherever it is read.
func (r *reader) next(ctx context.Context) (message, error) {
	for {
		data, ok := r.event()
		if ok {
			return message{r.urls[0], data}, nil
		}
		if ctx.Err() != nil {
			return message{}, ctx.Err()
		}
		r.close()
		for { // browsers wait a moment, too, as the server says by "retry:"
			r.urls = append(r.urls[1:], r.urls[0])
			if err := r.open(ctx); err == nil {
				break
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-ctx.Done():
				return message{}, ctx.Err()
			}
		}
	}
}

// event is the data of the next event that has any; false at the end of the stream.
func (r *reader) event() (data string, ok bool) {
	for r.lines.Scan() {
		name, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch {
		case name == "id":
			r.last = value
		case name == "data":
			data, ok = value, true
		case name == "" && ok:
			return data, true
		}
	}
	return "", false
}
