package acme_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"baro.dev/internal/testkit"
)

func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"PEBBLE_VA_NOSLEEP":      "1",
		"PEBBLE_WFE_NONCEREJECT": "0", // else requests are repeated, and orders are counted
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// A directory is an ACME server, to which every name is this machine. Its challenges reach the ports that tls and http forward to, as
// those of the world are forwarded to a server that is not root.
type directory struct {
	url    string
	name   string         // what certificates are for: another one for each, since certmagic has one memory for all of a process
	file   string         // who vouches for it
	roots  *x509.CertPool // who vouches for what it issues
	tls    *forwarder
	http   *forwarder
	orders atomic.Int64
	config *tls.Config
	served http.Handler
}

// newDirectory makes a directory whose certificates are valid for so many seconds; it does not serve yet. Where
// it is blocked, it refuses them.
func newDirectory(t *testing.T, seconds uint64, blocked bool) *directory {
	t.Helper()
	cert, key, _ := testkit.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	d := &directory{file: cert, roots: x509.NewCertPool(), tls: forward(t), http: forward(t)}
	d.name = strings.ToLower(rand.Text()[:10]) + ".test"
	d.config = &tls.Config{Certificates: []tls.Certificate{pair}}
	quiet := log.New(io.Discard, "", 0)
	if testing.Verbose() && os.Getenv("PEBBLE_LOG") != "" {
		quiet = log.New(os.Stderr, "pebble ", 0)
	}
	store := db.NewMemoryStore()
	if blocked {
		if err := store.AddBlockedDomain(d.name); err != nil {
			t.Fatal(err)
		}
	}
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "short", ValidityPeriod: seconds}})
	d.roots.AddCert(authority.GetRootCert(0).Cert)
	validation := va.New(quiet, d.http.port(), d.tls.port(), false, resolver(t), store)
	front := wfe.New(quiet, store, validation, authority, []string{"pebble.test"}, false, false, 1, 1)
	handler := front.Handler()
	d.served = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/order-plz") {
			d.orders.Add(1)
		}
		handler.ServeHTTP(w, r)
	})
	d.url = "https://" + testkit.FreeAddress(t) + wfe.DirectoryPath
	return d
}

// serve has the directory be there, until end or the test's end.
func (d *directory) serve(t *testing.T) (end func()) {
	t.Helper()
	address, _, _ := strings.Cut(strings.TrimPrefix(d.url, "https://"), "/")
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: d.served, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(tls.NewListener(l, d.config))
	}()
	end = func() {
		_ = s.Close()
		<-done
	}
	t.Cleanup(end)
	return end
}

// A forwarder takes connections to a port of its own on to another one.
type forwarder struct {
	listener net.Listener
	to       atomic.Pointer[string]
}

func forward(t *testing.T) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.carry(c)
		}
	}()
	return f
}

func (f *forwarder) port() int { return f.listener.Addr().(*net.TCPAddr).Port }

func (f *forwarder) carry(c net.Conn) {
	defer c.Close()
	to := f.to.Load()
	if to == nil {
		return
	}
	onward, err := net.Dial("tcp", *to)
	if err != nil {
		return
	}
	defer onward.Close()
	go func() {
		_, _ = io.Copy(onward, c)
		_ = onward.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, onward)
}

// resolver answers that every name is this machine, and gives its address.
func resolver(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if len(q.Question) == 1 && q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
			})
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return l.Addr().String()
}

// storage is a directory for certificates.
func storage(t *testing.T) string { return filepath.Join(t.TempDir(), "acme") }
