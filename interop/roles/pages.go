package roles

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio"
	"baro.dev/socketio/parser/msgpack"
	"baro.dev/ws"
)

const emptyPage = `<!doctype html><meta charset="utf-8"><title>Checks</title><link rel="icon" href="data:,">`

// Pages returns a server in the role pages, with the client for browsers in a folder, and what ends it at once.
func Pages(client fs.FS, transports ...string) (server http.Handler, finish func()) {
	options := socketio.Options{
		ClientFiles:             client,
		ConnectionStateRecovery: &socketio.ConnectionStateRecovery{},
		Engine: engineio.Options{
			Transports:        transports,
			PingInterval:      500 * time.Millisecond,
			PingTimeout:       5 * time.Second,
			MaxHTTPBufferSize: 4 << 20,
			PerMessageDeflate: ws.Compression{Enabled: true},
			AllowEIO3:         true,
			Cookie:            &http.Cookie{Name: "io"},
			CORS:              &engineio.CORS{Origins: []string{"http://localhost:*"}, Credentials: true},
		},
	}
	text := socketio.NewServer(&options)
	options.Path, options.Parser = "/msgpack/", msgpack.Codec
	binary := socketio.NewServer(&options)

	mux := http.NewServeMux()
	var answered statuses
	mux.Handle("/socket.io/", answered.of(text))
	mux.HandleFunc("/statuses", answered.tell)
	mux.Handle("/msgpack/", binary)
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(emptyPage))
	})
	for _, io := range []*socketio.Server{text, binary} {
		play(io)
	}
	return mux, func() {
		cut(text)
		cut(binary)
	}
}

// statuses are those of the answers to requests for files, by URL: browsers do not tell pages of 304.
type statuses struct {
	mu  sync.Mutex
	all map[string][]int
}

// of remembers what h answers to requests for files.
func (s *statuses) of(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".js") {
			h.ServeHTTP(w, r)
			return
		}
		answer := &answer{w, http.StatusOK}
		h.ServeHTTP(answer, r)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.all == nil {
			s.all = map[string][]int{}
		}
		s.all[r.URL.String()] = append(s.all[r.URL.String()], answer.status)
	})
}

func (s *statuses) tell(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(s.all[r.FormValue("of")])
}

type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}
