// Package listen is an instant server for tests: it echoes, broadcasts, runs a program for each connection, and serves files.
package listen

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/cli/listener"
	"baro.dev/socketio"
	"baro.dev/ws"
)

// Config is what a Server does. Without Program and Broadcast it echoes.
type Config struct {
	Broadcast bool // what one client sends, all get, the sender too

	Program      []string      // a program and its arguments, run for each connection
	Binary       bool          // what it reads and writes is bytes, a message whatever comes at once; otherwise a line is a message
	MaxPrograms  int           // at a time. 0: 64
	Grace        time.Duration // between SIGTERM and SIGKILL, for a program whose client has gone. 0: 5 s
	Environment  []string      // NAME=VALUE, or NAME to pass on, besides what programs get anyway
	ProgramError io.Writer     // the standard error of the programs. nil: nowhere

	Dir string // of files to serve to what asks for no WebSocket. "": none

	TLS          *tls.Config
	Guard        *listener.Guard // nil: pages of the server's own alone
	Subprotocols []string
	Compression  ws.Compression
	MaxMessage   int64 // in bytes. 0: 1 MiB; with a program, also of a line that it writes

	// OnEvent is told what happens. It may be called concurrently, and must be done with what it was given when it returns. nil: nobody is told.
	OnEvent func(*Event)
}

// Defaults.
const (
	DefaultMaxPrograms = 64
	DefaultGrace       = 5 * time.Second
	DefaultMaxMessage  = 1 << 20
)

// Event is something that has happened.
type Event struct {
	Kind       string // "open", "message", "sent", "close", "refused"
	Connection uint64 // counted from 1; 0 for who was refused
	From       string // open, refused: the address of the client
	Path       string // open, refused: what it asked for, with the query
	Protocol   string // open: "ws" or "socket.io", and a subprotocol after a slash
	Name       string // message, sent: of an event of Socket.IO
	Binary     bool   // message, sent: Data is no text
	Data       []byte // message, sent; for Socket.IO the arguments, as JSON
	Err        error  // close, refused: why; nil: in good order
}

// Server is an http.Handler for everything that Config says.
type Server struct {
	c     Config
	ws    *ws.Server
	io    *socketio.Server
	root  *os.Root // of files
	files http.Handler

	number   atomic.Uint64
	programs chan struct{} // a place each
	running  sync.WaitGroup
	ctx      context.Context // until Serve ends: for the programs
	stop     context.CancelFunc
}

// New says whether the configuration makes sense.
func New(c Config) (*Server, error) {
	c.MaxPrograms = cmp.Or(c.MaxPrograms, DefaultMaxPrograms)
	c.Grace = cmp.Or(c.Grace, DefaultGrace)
	c.MaxMessage = cmp.Or(c.MaxMessage, DefaultMaxMessage)
	if c.Guard == nil {
		c.Guard = new(listener.Guard)
	}
	switch {
	case c.Broadcast && c.Program != nil:
		return nil, errors.New("a program cannot be run and everything be broadcast at the same time")
	case c.MaxPrograms < 0, c.Grace < 0, c.MaxMessage < 0:
		return nil, errors.New("a number cannot be negative")
	}
	s := &Server{c: c, programs: make(chan struct{}, c.MaxPrograms)}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if c.Program != nil {
		if _, err := exec.LookPath(c.Program[0]); err != nil {
			return nil, fmt.Errorf("the program: %w", err)
		}
	} else {
		s.ws = s.newWebSocket()
		s.io = s.newSocketIO()
	}
	if c.Dir != "" {
		var err error
		if s.root, err = os.OpenRoot(c.Dir); err != nil {
			return nil, err
		}
		s.files = newFiles(s.root)
	}
	return s, nil
}

// Serve answers what comes to l, until ctx is done; then clients are told, programs are ended, and it returns context.Cause(ctx). It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.c.Guard.Middleware(s, s.refused),
		TLSConfig:         s.c.TLS,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	ended := make(chan struct{})
	unlink := context.AfterFunc(ctx, func() {
		defer close(ended)
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		s.shutdown(closing, server)
	})
	var err error
	if s.c.TLS != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if unlink() { // it has failed
		s.shutdown(ctx, server)
		return err
	}
	<-ended
	return context.Cause(ctx)
}

func (s *Server) shutdown(ctx context.Context, server *http.Server) {
	s.stop()
	var all sync.WaitGroup
	if s.ws != nil {
		all.Go(func() { _ = s.ws.Shutdown(ctx) })
		all.Go(func() { _ = s.io.Close(ctx) })
	}
	all.Go(func() { _ = server.Shutdown(ctx) })
	all.Wait()
	s.running.Wait()
	server.Close()
	if s.root != nil {
		_ = s.root.Close()
	}
}

// ServeHTTP answers one request, without asking the Guard.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.io != nil && strings.HasPrefix(r.URL.Path, "/socket.io/"):
		s.io.ServeHTTP(w, r)
	case s.files != nil && !forWebSocket(r):
		s.files.ServeHTTP(w, r)
	case s.c.Program != nil:
		s.serveProgram(w, r)
	default:
		s.ws.ServeHTTP(w, r)
	}
}

// forWebSocket tells whether a request is for a WebSocket, well formed or not (RFC 6455 section 4.1, RFC 8441 section 4).
func forWebSocket(r *http.Request) bool {
	return r.Method == http.MethodConnect || strings.Contains(strings.ToLower(r.Header.Get("Upgrade")), "websocket")
}

func (s *Server) accept() ws.AcceptOptions {
	return ws.AcceptOptions{
		Subprotocols: s.c.Subprotocols,
		CheckOrigin:  func(*http.Request) error { return nil }, // the guard has
		Compression:  s.c.Compression,
		Limits:       ws.Limits{MaxMessageSize: s.c.MaxMessage},
		Queue:        ws.Queue{Full: ws.Block},
	}
}

func (s *Server) tell(e *Event) {
	if s.c.OnEvent != nil {
		s.c.OnEvent(e)
	}
}

func (s *Server) refused(r *http.Request, err error) {
	s.tell(&Event{Kind: "refused", From: r.RemoteAddr, Path: r.URL.RequestURI(), Err: err})
}

func (s *Server) opened(r *http.Request, protocol, subprotocol string) (number uint64) {
	number = s.number.Add(1)
	if subprotocol != "" {
		protocol += "/" + subprotocol
	}
	s.tell(&Event{Kind: "open", Connection: number, From: r.RemoteAddr, Path: r.URL.RequestURI(), Protocol: protocol})
	return number
}

// orderly is the error of an end, unless it is as it should be.
func orderly(err error) error {
	if code := ws.CloseStatus(err); code == ws.StatusNormalClosure || code == ws.StatusGoingAway || code == ws.StatusNoStatus {
		return nil
	}
	return err
}
