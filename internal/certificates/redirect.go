package certificates

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// httpConnections is how many connections of plain HTTP there may be: they are short.
	httpConnections = 256
	httpTimeout     = 10 * time.Second
)

// A ListenError is that the address for plain HTTP cannot be had.
type ListenError struct {
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("ACME: cannot listen on %s for HTTP: %v", e.Address, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// listenHTTP takes the address for plain HTTP. nil: there is to be none.
func (i *issued) listenHTTP() (net.Listener, error) {
	if i.config.HTTPListen == "" {
		return nil, nil
	}
	var listen net.ListenConfig
	l, err := listen.Listen(context.Background(), "tcp", i.config.HTTPListen)
	if err != nil {
		return nil, &ListenError{i.config.HTTPListen, err}
	}
	return l, nil
}

// serveHTTP answers challenges, and sends everybody else on to https.
func (i *issued) serveHTTP(l net.Listener, address net.Addr) {
	if l == nil {
		return
	}
	i.http = &http.Server{
		Handler:           i.issuer.HTTPChallengeHandler(redirect(i.config.Domains, publicPort(l.Addr(), address))),
		ReadHeaderTimeout: httpTimeout,
		ReadTimeout:       httpTimeout,
		WriteTimeout:      httpTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(i.log.Handler(), slog.LevelDebug),
	}
	i.http.SetKeepAlivesEnabled(false)
	i.running.Go(func() { _ = i.http.Serve(netutil.LimitListener(l, httpConnections)) })
}

func (i *issued) closeHTTP() {
	if i.http != nil {
		_ = i.http.Close()
	}
}

// publicPort is where the world finds TLS: where it is listened on, unless the port of HTTP shows that ports are mapped. Then, and else, 443 is
// not said.
func publicPort(plain, tls net.Addr) string {
	h, ok := plain.(*net.TCPAddr)
	t, also := tls.(*net.TCPAddr)
	if !ok || !also || h.Port != 80 || t.Port == 443 {
		return ""
	}
	return ":" + strconv.Itoa(t.Port)
}

// redirect sends requests for our domains on to https. What was to change something has gone over the wire in plain text already, and is not
// to go on doing so unnoticed.
func redirect(domains []string, port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(r.Host)
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		switch {
		case !slices.Contains(domains, host), !strings.HasPrefix(r.URL.RequestURI(), "/"): // what is opaque would go on with our name
			http.Error(w, "there is nothing here", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "this is to be had by https only", http.StatusForbidden)
		default:
			http.Redirect(w, r, "https://"+host+port+r.URL.RequestURI(), http.StatusPermanentRedirect)
		}
	})
}
