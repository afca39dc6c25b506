package certificates_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/certificates"
)

// soon is after the files were looked at twice.
const soon = 5 * time.Second

// A new certificate is in use within seconds, and told. Its key may come later.
func TestReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		p := newPlace(t)
		p.replace(t, "one.test")
		k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, Log: log.log()})
		log.want(t, []string{"level=INFO", `msg="TLS certificate"`, "names=one.test", "expires=2000-03-31T"})
		time.Sleep(time.Minute + time.Second)

		cert, key := p.issue(t, "two.test", nil)
		p.put(t, p.cert, cert)
		time.Sleep(2 * time.Second) // it is noticed, but its key may be on its way
		if name := shown(t, k, p.ca, ""); name != "one.test" {
			t.Errorf("%s while the key is that of the one before", name)
		}
		log.want(t)
		p.put(t, p.key, key)
		time.Sleep(soon)
		if name := shown(t, k, p.ca, "two.test"); name != "two.test" {
			t.Errorf("it is %s", name)
		}
		log.want(t, []string{"level=INFO", `msg="TLS certificate replaced"`, "names=two.test"})
		time.Sleep(2 * time.Hour)
		log.want(t)
		k.Close()
	})
}

// What is wrong keeps the old one, is told once, and is tried again.
func TestBadReplacement(t *testing.T) {
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	early := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(10 * time.Minute) }
	for name, test := range map[string]struct {
		spoil func(t *testing.T, p *place)
		why   string
	}{
		"garbage":   {func(t *testing.T, p *place) { p.put(t, p.cert, []byte("garbage")) }, "failed to find any PEM data"},
		"empty":     {func(t *testing.T, p *place) { p.put(t, p.cert, nil) }, "failed to find any PEM data"},
		"truncated": {func(t *testing.T, p *place) { cut(t, p.cert) }, "failed to find any PEM data"},
		"no key":    {func(t *testing.T, p *place) { p.put(t, p.key, []byte("garbage")) }, "in key input"},
		"swapped":   {func(t *testing.T, p *place) { swap(t, p.cert, p.key) }, "PEM inputs may have been switched"},
		"other key": {func(t *testing.T, p *place) {
			_, key := p.issue(t, "other.test", nil)
			p.put(t, p.key, key)
		}, "private key does not match public key"},
		"expired":       {func(t *testing.T, p *place) { p.bad(t, expired) }, "it has expired, at 1999-12-31T23:"},
		"not yet valid": {func(t *testing.T, p *place) { p.bad(t, early) }, "it is not valid yet, but from 2000-01-01T00:"},
		"gone":          {func(t *testing.T, p *place) { remove(t, p.cert) }, "no such file"},
		"unreadable": {func(t *testing.T, p *place) {
			remove(t, p.key)
			if err := os.Mkdir(p.key, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "is a directory"},
		"endless": {func(t *testing.T, p *place) {
			if err := os.Truncate(p.cert, 2<<20); err != nil {
				t.Fatal(err)
			}
		}, "longer than such files are"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logged
				p := newPlace(t)
				p.replace(t, "old.test")
				k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, Log: log.log()})
				log.lines()
				time.Sleep(10 * time.Second)
				test.spoil(t, p)
				time.Sleep(time.Minute)
				log.want(t, []string{"level=ERROR", "TLS certificate not replaced: the one of before stays in use", test.why})
				if got := shown(t, k, p.ca, "old.test"); got != "old.test" {
					t.Errorf("it shows %s", got)
				}
				if err := k.Reload(); err == nil || !strings.Contains(err.Error(), test.why) {
					t.Errorf("reload: %v", err)
				}
				log.want(t) // it is known

				if name == "unreadable" {
					remove(t, p.key)
				}
				p.replace(t, "new.test")
				time.Sleep(soon)
				if got := shown(t, k, p.ca, "new.test"); got != "new.test" {
					t.Errorf("then it shows %s", got)
				}
				log.want(t, []string{"level=INFO", "TLS certificate replaced", "names=new.test"})
				k.Close()
			})
		})
	}
}

func (p *place) bad(t *testing.T, change func(*x509.Certificate)) {
	t.Helper()
	cert, key := p.issue(t, "bad.test", change)
	p.put(t, p.cert, cert)
	p.put(t, p.key, key)
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, name string) {
	t.Helper()
	if err := os.Truncate(name, 100); err != nil {
		t.Fatal(err)
	}
}

func swap(t *testing.T, a, b string) {
	t.Helper()
	for _, step := range [][2]string{{a, a + "~"}, {b, a}, {a + "~", b}} {
		if err := os.Rename(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// One that is wrong is told at once by a reload.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		p := newPlace(t)
		p.replace(t, "one.test")
		k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, Log: log.log()})
		log.lines()
		if err := k.Reload(); err != nil {
			t.Error(err)
		}
		log.want(t)
		p.put(t, p.cert, []byte("garbage"))
		if err := k.Reload(); err == nil {
			t.Error("garbage is reloaded")
		}
		log.want(t, []string{"level=ERROR", p.cert})
		p.replace(t, "two.test")
		if err := k.Reload(); err != nil {
			t.Error(err)
		}
		log.want(t, []string{"level=INFO", "names=two.test"})
		if name := shown(t, k, p.ca, ""); name != "two.test" {
			t.Errorf("it is %s", name)
		}
		k.Close()
	})
}

// A certificate that is put there before its time is taken when that has come.
func TestNotYetValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		p := newPlace(t)
		p.replace(t, "one.test")
		k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, Log: log.log()})
		log.lines()
		p.bad(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(10 * time.Minute) })
		time.Sleep(9 * time.Minute)
		if name := shown(t, k, p.ca, ""); name != "one.test" {
			t.Errorf("it is %s before its time", name)
		}
		time.Sleep(2 * time.Minute)
		if name := shown(t, k, p.ca, ""); name != "bad.test" {
			t.Errorf("it is %s at its time", name)
		}
		k.Close()
	})
}

// Kubernetes replaces a link to a directory, certbot one to each file; others write files of the same length and time.
func TestLinks(t *testing.T) {
	write := func(t *testing.T, p *place, dir, name string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		cert, key := p.issue(t, name, nil)
		p.put(t, dir+"/cert.pem", cert)
		p.put(t, dir+"/key.pem", key)
	}
	link := func(t *testing.T, to, name string) {
		t.Helper()
		if err := os.Symlink(to, name+"~"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+"~", name); err != nil {
			t.Fatal(err)
		}
	}
	for name, replace := range map[string]func(t *testing.T, p *place, name string){
		"Kubernetes": func(t *testing.T, p *place, name string) {
			write(t, p, filepath.Join(p.dir, "..", name), name)
			link(t, filepath.Join(p.dir, "..", name), p.dir+"/..data")
			if _, err := os.Lstat(p.cert); err != nil {
				link(t, "..data/cert.pem", p.cert)
				link(t, "..data/key.pem", p.key)
			}
		},
		"certbot": func(t *testing.T, p *place, name string) {
			dir := filepath.Join(p.dir, "archive-"+name)
			write(t, p, dir, name)
			link(t, dir+"/cert.pem", p.cert)
			link(t, dir+"/key.pem", p.key)
		},
		"same length and time": func(t *testing.T, p *place, name string) {
			dir := filepath.Join(p.dir, "new")
			write(t, p, dir, name)
			for _, file := range []string{"cert.pem", "key.pem"} {
				pad(t, dir+"/"+file)
				if err := os.Rename(dir+"/"+file, p.dir+"/"+file); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logged
				p := newPlace(t)
				replace(t, p, "one.test")
				k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, Log: log.log()})
				time.Sleep(time.Minute)
				log.lines()
				replace(t, p, "two.test")
				time.Sleep(soon)
				if name := shown(t, k, p.ca, ""); name != "two.test" {
					t.Errorf("it is %s", name)
				}
				log.want(t, []string{"names=two.test"})
				k.Close()
			})
		})
	}
}

// pad has a file of any certificate look like that of another.
func pad(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(text, strings.Repeat("\n", 2000-len(text))...), 0o600); err != nil {
		t.Fatal(err)
	}
	then := time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(name, then, then); err != nil {
		t.Fatal(err)
	}
}

// What expires soon is told at the start and every day; what has expired is used at the start, for want of a better one.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		p := newPlace(t)
		p.bad(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-40*day), time.Now().Add(17*day+time.Hour)
		})
		k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, Interval: time.Hour, Log: log.log()})
		if left := time.Until(k.Expiry()); left > 17*day+time.Hour || left < 17*day {
			t.Errorf("it expires in %v", left)
		}
		log.want(t, []string{"TLS certificate"})
		time.Sleep(3*day + 2*time.Hour)
		log.want(t)
		time.Sleep(2 * day)
		log.want(t, []string{"level=WARN", "TLS certificate expires soon", "names=bad.test", "days=13"}, []string{"days=12"})
		time.Sleep(13 * day)
		if lines := log.lines(); len(lines) != 13 || !strings.Contains(lines[12], "level=ERROR") || !strings.Contains(lines[12], "has expired: clients refuse it") {
			t.Errorf("the log is %s", strings.Join(lines, "\n"))
		}
		k.Close()

		k = keep(t, certificates.Config{Cert: p.cert, Key: p.key, Log: log.log()})
		log.want(t, []string{"TLS certificate"}, []string{"level=ERROR", "has expired"})
		_, err, _ := shake(t, k, &tls.Config{RootCAs: p.ca.Pool(), ServerName: "bad.test"})
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); !ok || invalid.Reason != x509.Expired {
			t.Errorf("a client: %v", err)
		}
		p.replace(t, "good.test")
		time.Sleep(soon)
		if name := shown(t, k, p.ca, "good.test"); name != "good.test" {
			t.Errorf("it is %s", name)
		}
		k.Close()
	})
}

const day = 24 * time.Hour

// What cannot be read at the start is an error then.
func TestNewRefuses(t *testing.T) {
	p := newPlace(t)
	p.replace(t, "a.test")
	cert, key := p.issue(t, "b.test", nil)
	p.put(t, p.dir+"/b.pem", cert)
	p.put(t, p.dir+"/b.key", key)
	p.put(t, p.dir+"/garbage", []byte("garbage"))
	for name, test := range map[string]struct{ cert, key, want string }{
		"none":      {p.dir + "/none", p.key, "no such file"},
		"no key":    {p.cert, p.dir + "/none", "no such file"},
		"garbage":   {p.dir + "/garbage", p.key, "failed to find any PEM data"},
		"other key": {p.cert, p.dir + "/b.key", "does not match"},
	} {
		_, err := certificates.New(certificates.Config{Cert: test.cert, Key: test.key})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "TLS certificate: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Sessions are resumed across reloads, over old and new versions of TLS, and for a day and more.
func TestSessionTickets(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				p.replace(t, "a.test")
				k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, Interval: time.Hour, Log: new(logged).log()})
				config := &tls.Config{RootCAs: p.ca.Pool(), ServerName: "a.test", ClientSessionCache: tls.NewLRUClientSessionCache(1), MaxVersion: version}
				for i, wait := range []time.Duration{0, time.Minute, 26 * time.Hour} {
					time.Sleep(wait)
					state, err, _ := shake(t, k, config)
					if err != nil || state.Version != version || state.DidResume != (i > 0) {
						t.Errorf("handshake %d: %v, resumed %v, %s", i, err, state.DidResume, tls.VersionName(state.Version))
					}
					p.replace(t, "a.test")
					if err := k.Reload(); err != nil {
						t.Error(err)
					}
				}
				k.Close()
			})
		})
	}
	p := newPlace(t)
	p.replace(t, "a.test")
	k := keep(t, certificates.Config{Cert: p.cert, Key: p.key, Log: new(logged).log()})
	if _, err, _ := shake(t, k, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}
