package channels_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/cli/channels"
	"baro.dev/internal/cli/exit"
)

// told keeps what became of messages.
type told []channels.Result

func (r *told) add(result channels.Result) error {
	*r = append(*r, result)
	return nil
}

func TestPublish(t *testing.T) {
	s, at := start(t, nil)
	c, err := channels.Connect(soon(t), at, quick(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for way, p := range map[string]channels.Publisher{"api": {API: api(t, at, "")}, "client": {Client: c}} {
		t.Run(way, func(t *testing.T) {
			var r told
			p.Told, p.Patience = r.add, 30*time.Second
			p.Draft = channels.Draft{Channels: []string{way + "/a", way + "/b"}, Kind: channels.JSON, Event: "e", Key: "k"}
			if err := p.Publish(soon(t), []byte(` {"a": [1, "<"]} `)); err != nil {
				t.Fatal(err)
			}
			if len(r) != 2 || r[0].Channel != way+"/a" || r[1].Channel != way+"/b" || r[0].Offset != 1 || r[1].Error != nil || r[0].ID == "" {
				t.Errorf("%+v", r)
			}
			if got := kept(t, s, way+"/a"); !slices.Equal(got, []string{`{"a":[1,"<"]}`}) {
				t.Errorf("%q", got)
			}
			again := p
			again.Channels = again.Channels[:1]
			if err := again.Publish(soon(t), []byte("7")); err != nil || len(r) != 3 || r[2].Position() != r[0].Position() {
				t.Errorf("the same key: %v, %+v", err, r)
			}

			p.Draft = channels.Draft{Channels: []string{way + "/lines"}}
			if err := p.Lines(soon(t), strings.NewReader("one\r\n\n메\nlast")); err != nil {
				t.Fatal(err)
			}
			if got := kept(t, s, way+"/lines"); !slices.Equal(got, []string{"one", "", "메", "last"}) || r[6].Line != 4 {
				t.Errorf("%q %+v", got, r)
			}
			p.Draft = channels.Draft{Channels: []string{way + "/bytes"}, Kind: channels.Binary}
			if err := p.Publish(soon(t), []byte{0, 0xff, '\n'}); err != nil {
				t.Fatal(err)
			}
			b, err := s.Hub().Read(way+"/bytes", channel.Oldest(), 0)
			if err != nil || len(b.Messages) != 1 || !b.Messages[0].Binary || string(b.Messages[0].Data) != "\x00\xff\n" {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
}

// What is wrong is said, with its line; what was before it is published.
func TestPublishMistakes(t *testing.T) {
	s, at := start(t, nil)
	key, change := withKeys(t, []auth.Scope{auth.ScopePublish}, "shop/**")
	_, guarded := start(t, change)
	_, reader := withKeys(t, []auth.Scope{auth.ScopeRead})
	_, forbidding := start(t, reader)
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, c := range map[string]struct {
		api   *channels.API
		draft channels.Draft
		in    string
		code  int
		says  string
	}{
		"no channel":       {api(t, at, ""), channels.Draft{}, "", exit.Usage, "no channel"},
		"a control":        {api(t, at, ""), channels.Draft{Channels: []string{"a\x1b"}}, "", exit.Usage, "control character"},
		"an event":         {api(t, at, ""), channels.Draft{Channels: []string{"a"}, Event: "baro.x"}, "", exit.Usage, "reserved"},
		"not UTF-8":        {api(t, at, ""), channels.Draft{Channels: []string{"utf8"}}, "a\n\xff\nb", exit.Failed, "line 2: it is not UTF-8"},
		"not JSON":         {api(t, at, ""), channels.Draft{Channels: []string{"a"}, Kind: channels.JSON}, "1\n2\n[", exit.Failed, "line 3: it is not JSON"},
		"too large":        {api(t, at, ""), channels.Draft{Channels: []string{"a"}}, strings.Repeat("x", 1<<20), exit.Refused, "too_large"},
		"some too large":   {api(t, at, ""), channels.Draft{Channels: []string{"a"}}, "x\n" + strings.Repeat("x", 1<<20), exit.Failed, "1 of 2"},
		"a line of 100 MB": {api(t, at, ""), channels.Draft{Channels: []string{"long"}}, "ok\n" + strings.Repeat("x", channels.MaxInput+1), exit.Failed, "line 2: the message is longer"},
		"no key":           {api(t, guarded, ""), channels.Draft{Channels: []string{"shop/a"}}, "a", exit.Refused, "unauthorized"},
		"another channel":  {api(t, guarded, key), channels.Draft{Channels: []string{"a"}}, "a", exit.Refused, "forbidden"},
		"a channel of two": {api(t, guarded, key), channels.Draft{Channels: []string{"shop/a", "a"}}, "a", exit.Failed, "1 of 2"},
		"a wrong key":      {api(t, forbidding, key), channels.Draft{Channels: []string{"shop/a"}}, "a", exit.Refused, "1501"},
		"nobody there":     {api(t, to(t, closed.URL), ""), channels.Draft{Channels: []string{"a"}}, "a", exit.Unreachable, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			var r told
			p := channels.Publisher{Draft: c.draft, API: c.api, Told: r.add}
			err := p.Lines(soon(t), strings.NewReader(c.in))
			if exit.Code(err) != c.code || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v (%d)", err, exit.Code(err))
			}
		})
	}
	if got := kept(t, s, "utf8"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%q", got)
	}
	if got := kept(t, s, "long"); !slices.Equal(got, []string{"ok"}) {
		t.Errorf("%q", got)
	}
}

// Answers are lost, and the server has no time: everything is published once, in order, as long as there is patience.
func TestPublishAgain(t *testing.T) {
	s, at := start(t, nil)
	proxy := httputil.NewSingleHostReverseProxy(at.URL)
	var n atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 4 {
		case 1: // it is done, and the answer is lost
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case 2:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case 3:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"results":[{"error":{"code":"uncertain","number":1016,"message":""}}]}`)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(site.Close)
	var r told
	p := channels.Publisher{Draft: channels.Draft{Channels: []string{"a"}}, API: api(t, to(t, site.URL), ""), Patience: 30 * time.Second, Told: r.add}
	in, out := io.Pipe()
	go func() {
		fmt.Fprint(out, "one\n")
		fmt.Fprint(out, "two\n")
		out.Close()
	}()
	if err := p.Lines(soon(t), in); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, s, "a"); !slices.Equal(got, []string{"one", "two"}) || len(r) != 2 || !r[0].Duplicate || r[1].Offset != 2 {
		t.Errorf("%q, %+v", got, r)
	}
	n.Store(1)
	p = channels.Publisher{Draft: channels.Draft{Channels: []string{"a"}}, API: p.API, Told: r.add}
	if err := p.Publish(soon(t), nil); exit.Code(err) != exit.Refused || !strings.Contains(err.Error(), "503") {
		t.Errorf("without patience: %v", err)
	}
}

// A server may answer anything.
func TestPublishHostile(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		code   int
	}{
		"nothing":         {``, exit.Refused},
		"a page":          {`<html>`, exit.Refused},
		"no results":      {`{"results":[]}`, exit.Refused},
		"too many":        {`{"results":[{},{},{}]}`, exit.Refused},
		"another type":    {`{"results":7}`, exit.Refused},
		"deep":            {strings.Repeat(`{"results":[`, 20_000), exit.Refused},
		"an escape":       {"{\"results\":[{\"error\":{\"code\":\"x\",\"number\":1503,\"message\":\"\\u001b[2J\"}}]}", exit.Refused},
		"an empty result": {`{"results":[{}]}`, exit.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.answer) }))
			defer site.Close()
			p := channels.Publisher{Draft: channels.Draft{Channels: []string{"a"}}, API: api(t, to(t, site.URL), ""), Told: func(channels.Result) error { return nil }}
			if err := p.Publish(soon(t), nil); exit.Code(err) != c.code {
				t.Errorf("%v (%d)", err, exit.Code(err))
			}
		})
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	p := channels.Publisher{Draft: channels.Draft{Channels: []string{"a"}}, API: api(t, to(t, endless.URL), "")}
	if err := p.Publish(soon(t), nil); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}

// Who is told may have enough.
func TestPublishEnds(t *testing.T) {
	_, at := start(t, nil)
	enough := errors.New("enough")
	p := channels.Publisher{Draft: channels.Draft{Channels: []string{"a"}}, API: api(t, at, ""), Told: func(channels.Result) error { return enough }}
	if err := p.Lines(soon(t), strings.NewReader("a\nb")); !errors.Is(err, enough) {
		t.Error(err)
	}
}
