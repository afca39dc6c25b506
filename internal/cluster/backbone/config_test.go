package backbone

import (
	"reflect"
	"strings"
	"testing"
)

func TestRedisURLs(t *testing.T) {
	type want struct {
		addrs          []string
		db             int
		master         string
		cluster, tls   bool
		user, password string
	}
	for text, w := range map[string]want{
		"redis://localhost":                      {addrs: []string{"localhost:6379"}},
		"redis://127.0.0.1:7000/3":               {addrs: []string{"127.0.0.1:7000"}, db: 3},
		"redis://[::1]":                          {addrs: []string{"[::1]:6379"}},
		"rediss://baro:p%40ss@redis.example.com": {addrs: []string{"redis.example.com:6379"}, tls: true, user: "baro", password: "p@ss"},
		"redis://:secret@redis":                  {addrs: []string{"redis:6379"}, password: "secret"},
		"redis+sentinel://a,b:26380/main":        {addrs: []string{"a:26379", "b:26380"}, master: "main"},
		"redis+sentinel://a/main/2":              {addrs: []string{"a:26379"}, master: "main", db: 2},
		"rediss+sentinel://a/main":               {addrs: []string{"a:26379"}, master: "main", tls: true},
		"redis+cluster://a:7001,b:7002,c":        {addrs: []string{"a:7001", "b:7002", "c:6379"}, cluster: true},
		"rediss+cluster://a":                     {addrs: []string{"a:6379"}, cluster: true, tls: true},
	} {
		o, err := (&Redis{URL: text}).options()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := want{o.Addrs, o.DB, o.MasterName, o.IsClusterMode, o.TLSConfig != nil, o.Username, o.Password}
		if !reflect.DeepEqual(got, w) {
			t.Errorf("%s: %+v, not %+v", text, got, w)
		}
	}
	for _, text := range []string{
		"localhost:6379", "http://localhost", "redis://a,b", "redis://a/x", "redis://a/1/2", "redis+sentinel://a", "redis+cluster://a/1",
		"redis+cluster://a,,b", "redis://a:port", "redis://", "redis://a?db=1", "redis://a#b", "redis+sentinel://a/m/x",
	} {
		if o, err := (&Redis{URL: text}).options(); err == nil {
			t.Errorf("%s is taken for %+v", text, o)
		}
	}
	if _, err := (&Redis{URL: "redis://me:secret@a/x"}).options(); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a password is told: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		say string
		dir string
		c   Config
	}{
		{"one of them", "", Config{Embedded: true, Redis: Redis{URL: "redis://a"}}},
		{"one of them", "", Config{NATS: NATS{URLs: []string{"nats://a"}}, Redis: Redis{URL: "redis://a"}}},
		{"say in which directory", "", Config{Embedded: true}},
		{"leave out data", "d", Config{Redis: Redis{URL: "redis://a"}}},
		{"leave out data", "d", Config{NATS: NATS{URLs: []string{"nats://a"}}}},
		{"say cluster", "", Config{Peers: []string{"a"}}},
		{"the name", "", Config{Name: "a b", Redis: Redis{URL: "redis://a"}}},
		{"of NATS", "", Config{NATS: NATS{URLs: []string{"redis://a"}}}},
		{"credentials", "", Config{NATS: NATS{URLs: []string{"nats://a"}, Credentials: "f", User: "u"}}},
		{"9 replicas", "", Config{Replicas: 9, NATS: NATS{URLs: []string{"nats://a"}}}},
	} {
		if err := c.c.Check(c.dir); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%+v: %v, and nothing of %q", c.c, err, c.say)
		}
	}
	for dir, c := range map[string]Config{
		"":  {NATS: NATS{URLs: []string{"nats://a:4222", "tls://b"}}},
		"d": {Embedded: true},
		"e": {Embedded: true, Listen: "127.0.0.1:1", Peers: []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}},
	} {
		if dir == "" {
			c.Name = "x"
		}
		if err := c.Check(dir); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := (Config{}).Check("d"); err != nil {
		t.Errorf("no cluster: %v", err)
	}
}
