package doctor

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// identify finds out what the URL speaks, sets kind, base and path, and returns the answer that has told; kind stays "" if none has. The error is
// that of a request, where there is no answer at all.
func (e *examination) identify(ctx context.Context) (*answer, error) {
	var first *answer
	var failed error
	candidates := e.candidates()
	for _, c := range candidates {
		limited, cancel := context.WithTimeout(ctx, e.o.Timeout/3)
		a, err := e.get(limited, c.ask, c.accept)
		cancel()
		if err != nil {
			if failed == nil {
				failed = err
			}
			if !isTimeout(err) && !errors.Is(err, context.DeadlineExceeded) {
				break // the next one would not fare better
			}
			continue
		}
		if c.is(a) {
			e.take(c)
			return a, nil
		}
		if first == nil {
			first = a
		}
	}
	if first == nil {
		return nil, failed
	}
	if e.o.Protocol != Auto {
		e.take(candidates[0])
	}
	return first, nil
}

// candidate is something that a URL may speak.
type candidate struct {
	kind       Protocol
	base, path *url.URL // of the examination, if it is this
	ask        *url.URL // a short answer tells
	accept     string
	is         func(a *answer) bool
}

func (e *examination) take(c candidate) { e.kind, e.base, e.path = c.kind, c.base, c.path }

// candidates are those that the URL and the options leave, the likely ones first.
func (e *examination) candidates() []candidate {
	path := strings.TrimSuffix(e.url.Path, "/")
	all := []candidate{e.asEvents(), e.asChannel(path, e.o.Channel), e.asEngine(path + "/socket.io/")}
	if i := strings.Index(e.url.Path, "/c/"); i >= 0 && len(e.url.Path) > i+len("/c/") {
		e.o.Channel = e.url.Path[i+len("/c/"):]
		all = []candidate{e.asChannel(path[:i], e.o.Channel), e.asEvents()}
	} else if base, found := strings.CutSuffix(path, "/ws"); found {
		multiplex := e.asChannel(base, e.o.Channel)
		multiplex.ask = e.url
		all = []candidate{multiplex, e.asEvents()}
	} else if strings.Contains(path, "/socket.io") || strings.Contains(path, "/engine.io") {
		all = []candidate{e.asEngine(e.url.Path), e.asEvents()}
	}
	if e.o.Protocol == Auto {
		return all
	}
	asked := slices.DeleteFunc(all, func(c candidate) bool { return c.kind != e.o.Protocol })
	switch {
	case len(asked) > 0:
	case e.o.Protocol == Channel:
		asked = append(asked, e.asChannel(path, e.o.Channel))
	case e.o.Protocol == SocketIO:
		asked = append(asked, e.asEngine(e.url.Path))
	default:
		asked = append(asked, candidate{kind: e.o.Protocol, path: e.url, ask: e.url, accept: "*/*", is: func(*answer) bool { return true }})
	}
	// Whatever is there answers this.
	root := *e.url
	root.Path, root.RawPath, root.RawQuery = "/", "", ""
	return append(asked, candidate{kind: e.o.Protocol, ask: &root, accept: "*/*", is: func(*answer) bool { return false }})
}

// asEvents asks the URL as browsers ask for event streams.
func (e *examination) asEvents() candidate {
	return candidate{kind: Events, path: e.url, ask: e.url, accept: typeEvents + ", */*;q=0.5", is: func(a *answer) bool {
		return a.status == http.StatusOK && mediaType(a.header) == typeEvents && a.header.Get("Baro-Position") == ""
	}}
}

// asChannel polls a channel of a server that has /c/ below base.
func (e *examination) asChannel(base, name string) candidate {
	root := *e.url
	root.Path, root.RawPath = base, ""
	path := below(&root, "/c/"+name, "")
	return candidate{kind: Channel, base: &root, path: path, ask: with(path, "after=now"), accept: typeJSON, is: func(a *answer) bool {
		if a.status == http.StatusOK {
			return a.header.Get("Baro-Position") != ""
		}
		e.refusal = baroRefusal(a.status, a.body)
		return e.refusal != nil
	}}
}

// asEngine asks for a session of Engine.IO over a transport that nobody has.
func (e *examination) asEngine(path string) candidate {
	u := *e.url
	u.Path, u.RawPath = path, ""
	u.RawQuery = withoutEngine(u.Query()).Encode()
	return candidate{kind: SocketIO, path: &u, ask: with(&u, "EIO=4&transport=none"), accept: "*/*", is: func(a *answer) bool {
		return engineRefusal(a.status, a.body) != nil || bytes.HasPrefix(a.body, []byte("0{"))
	}}
}

// withoutEngine takes away what clients of Engine.IO add to a query by themselves.
func withoutEngine(q url.Values) url.Values {
	for _, name := range []string{"EIO", "transport", "sid", "t", "b64"} {
		q.Del(name)
	}
	return q
}
