package socketio

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"baro.dev/engineio"
	"baro.dev/socketio/parser"
)

// Server serves Socket.IO. It is an http.Handler, to be mounted where Options.Path says, under any router that leaves the
// path as it is. The methods of its main namespace, "/", are its own.
//
// All methods may be called by any goroutine. Middleware and handlers are best registered before the first client comes: they
// are for what comes later.
type Server struct {
	*Namespace // "/"

	set      *Options
	base     string // the path without the slash at its end
	engine   *engineio.Server
	files    clientFiles
	decoders sync.Pool
	spawned  sync.WaitGroup // goroutines of middleware and the like
	outgoing atomic.Int32   // sockets with OnAnyOutgoing

	mu         sync.RWMutex
	namespaces map[string]*Namespace
	parents    []*ParentNamespace
	children   int
	closed     bool
	created    []func(*Namespace)
	refused    []func(*http.Request, *engineio.ConnectionError)
}

// NewServer returns a server. nil options are the defaults; they are copied. It panics if Options.Validate finds fault with
// them: options that come from elsewhere than the program are validated before.
func NewServer(options *Options) *Server {
	if err := options.Validate(); err != nil {
		panic(err)
	}
	set := options.withDefaults()
	s := &Server{set: set, base: strings.TrimSuffix(set.Engine.Path, "/"), namespaces: map[string]*Namespace{}}
	s.files.fs = set.ClientFiles
	s.decoders.New = func() any { return set.Parser.NewDecoder(&set.Limits) }
	s.engine = &engineio.Server{
		Options: set.Engine, CORSOption: "Options.Engine.CORS",
		OnOpen: s.opened, Arrive: arrive, OnMessage: received, Ended: lost, OnClose: closed, OnConnectionError: s.connectionError,
	}
	s.engine.Handler = s
	s.Namespace = s.Of("/")
	return s
}

// ServeHTTP serves the clients, and the files of the client for browsers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, s.base)
	switch {
	case ok && rest == "/":
		s.engine.ServeHTTP(w, r)
	case ok && rest == "":
		u := *r.URL
		u.Path += "/"
		r = r.WithContext(r.Context()) // a copy
		r.URL = &u
		s.engine.ServeHTTP(w, r)
	case ok && !s.set.NoClient && strings.HasPrefix(rest, "/"):
		s.files.serve(w, r, rest[1:], s.set.Engine.CORS)
	case s.set.Handler != nil:
		s.set.Handler.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Serve accepts connections from l and serves them until Close, or until l fails; it closes l. It returns a non-nil error:
// http.ErrServerClosed after Close. It costs less than to have an http.Server serve, since WebSockets are opened without it: see
// engineio.Server.Serve.
func (s *Server) Serve(l net.Listener) error { return s.engine.Serve(l) }

// Parser returns the codec of packets: Options.Parser, or the default one.
func (s *Server) Parser() parser.Codec { return s.set.Parser }

// Engine returns the server of the layer below.
func (s *Server) Engine() *engineio.Server { return s.engine }

// ClientsCount returns the number of clients; each may be connected to several namespaces (engine.clientsCount).
func (s *Server) ClientsCount() int { return s.engine.Len() }

// Of returns the namespace with a name, which it makes if need be. The slash that a name begins with may be left out.
func (s *Server) Of(name string) *Namespace {
	name = namespaceName(name)
	s.mu.Lock()
	if n := s.namespaces[name]; n != nil {
		s.mu.Unlock()
		return n
	}
	// A parent that the name belongs to takes it, as since 4.8 of the official server.
	var parent *ParentNamespace
	for _, p := range s.parents {
		if p.pattern != nil && p.pattern.MatchString(name) {
			parent = p
			break
		}
	}
	n := s.create(name, parent)
	s.mu.Unlock()
	s.announce(n)
	return n
}

func namespaceName(name string) string {
	if !strings.HasPrefix(name, "/") {
		return "/" + name
	}
	return name
}

// OfPattern returns a parent for all namespaces whose name matches: they come to be when a client connects to them, and
// inherit the parent's middleware and handlers. A pattern that is to match whole names needs ^ and $.
func (s *Server) OfPattern(pattern *regexp.Regexp) *ParentNamespace {
	p := &ParentNamespace{server: s, pattern: pattern}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents = append(s.parents, p)
	return p
}

// OfFunc is OfPattern with a function that decides about a name that does not exist yet, with what the client has to
// say for itself. It may block, as middleware may.
func (s *Server) OfFunc(match func(name string, auth parser.Value) bool) *ParentNamespace {
	p := &ParentNamespace{server: s, match: match}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents = append(s.parents, p)
	return p
}

// OnNewNamespace has f called with each namespace that comes to be (new_namespace).
func (s *Server) OnNewNamespace(f func(*Namespace)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created = append(s.created, f)
}

// OnConnectionError has f called for each request that is refused, before it is answered (connection_error of the engine). Its
// calls may be concurrent. Clients that middleware refuses are not among them: their requests have been served.
func (s *Server) OnConnectionError(f func(r *http.Request, err *engineio.ConnectionError)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, f)
}

func (s *Server) connectionError(r *http.Request, err *engineio.ConnectionError) {
	s.mu.RLock()
	all := s.refused
	s.mu.RUnlock()
	for _, f := range all {
		f(r, err)
	}
}

func (s *Server) announce(n *Namespace) {
	s.mu.RLock()
	all := s.created
	s.mu.RUnlock()
	for _, f := range all {
		f(n)
	}
}

// create makes a namespace. mu is held.
func (s *Server) create(name string, parent *ParentNamespace) *Namespace {
	n := &Namespace{server: s, name: name, parent: parent, ids: map[string]*Socket{}}
	n.adapter = s.set.Adapter(n)
	s.namespaces[name] = n
	if parent != nil {
		parent.adopt(n)
	}
	return n
}

// namespace returns a namespace that exists.
func (s *Server) namespace(name string) *Namespace {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.namespaces[name]
}

func (s *Server) hasParents() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.parents) > 0
}

// child returns the namespace that a client wants and some parent allows, nil if none does.
func (s *Server) child(name string, auth parser.Value) *Namespace {
	s.mu.RLock()
	parents := s.parents
	s.mu.RUnlock()
	for _, p := range parents {
		if !p.matches(name, auth) {
			continue
		}
		s.mu.Lock()
		n := s.namespaces[name]
		made := n == nil && !s.closed && (s.children < s.set.MaxChildNamespaces || s.sweep())
		if made {
			n = s.create(name, p)
			n.dynamic = true
			s.children++
		}
		s.mu.Unlock()
		if made {
			s.announce(n)
		}
		return n
	}
	return nil
}

// sweep removes the children without sockets, and reports whether there were any. mu is held.
func (s *Server) sweep() bool {
	before := s.children
	for _, n := range s.namespaces {
		if n.dynamic && n.closeIfEmpty() {
			s.remove(n)
		}
	}
	return s.children < before
}

// remove forgets a child that is closed. mu is held.
func (s *Server) remove(n *Namespace) {
	delete(s.namespaces, n.name)
	n.parent.disown(n)
	s.children--
	s.spawned.Go(func() { _ = n.adapter.Close() })
}

// emptied is called when the last socket has left a child.
func (s *Server) emptied(n *Namespace) {
	if !s.set.CleanupEmptyChildNamespaces {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.namespaces[n.name] == n && n.closeIfEmpty() {
		s.remove(n)
	}
}

// Close accepts no more clients and closes those there are: what was sent before leaves first, their sockets are
// disconnected with ServerShuttingDown, and Close waits until the handlers have returned. A client that is between two polls is
// waited for, up to 5 seconds after its last one (engineio.Server.Shutdown). When ctx is done, what is left is cut, and Close
// returns context.Cause(ctx). The adapters are closed last. A handler must not wait for Close, which waits for the handler.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.engine.Shutdown(ctx)
	done := make(chan struct{})
	go func() {
		s.spawned.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		if err == nil {
			err = context.Cause(ctx)
		}
	}
	s.mu.RLock()
	var all []*Namespace
	for _, n := range s.namespaces {
		all = append(all, n)
	}
	s.mu.RUnlock()
	for _, n := range all {
		if e := n.adapter.Close(); err == nil {
			err = e
		}
	}
	return err
}
