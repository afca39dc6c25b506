package engineio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// neighbours are two servers whose ids begin with their number, and which hand to each other what is the other's.
func neighbours(t *testing.T, change func(o *engineio.Options)) (a, b *site) {
	t.Helper()
	var sites [2]*site
	var serial atomic.Int64
	for i := range sites {
		e := calm()
		e.Options.GenerateID = func(*http.Request) string { return fmt.Sprintf("%d-%d", i, serial.Add(1)) }
		e.Options.Elsewhere = func(sid string) http.Handler {
			if !strings.HasPrefix(sid, fmt.Sprintf("%d-", 1-i)) {
				return nil
			}
			to, err := url.Parse(sites[1-i].http.URL)
			if err != nil {
				t.Error(err)
			}
			return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(to)
				r.Out.Host = r.In.Host
			}}
		}
		if change != nil {
			change(&e.Options)
		}
		sites[i] = openBeside(t, e)
	}
	return sites[0], sites[1]
}

func sidOf(t *testing.T, a answer) string {
	t.Helper()
	var h hello
	at := strings.IndexByte(a.body, '{')
	if at < 0 {
		t.Fatal(a)
	}
	if err := json.NewDecoder(strings.NewReader(a.body[at:])).Decode(&h); err != nil || h.SID == "" {
		t.Fatal(a, err)
	}
	return h.SID
}

func TestElsewherePolling(t *testing.T) {
	for _, eio := range []int{3, 4} {
		a, b := neighbours(t, nil)
		sid := sidOf(t, a.get(eio, ""))
		body, want := "4hello", "4hello"
		if eio == 3 {
			body, want = "6:4hello", "6:4hello"
		}
		if got := b.post(eio, sid, body); got.status != 200 {
			t.Error(got)
		}
		if got := b.get(eio, sid); got.status != 200 || got.body != want {
			t.Error(got)
		}
		if a.server.Len() != 1 || b.server.Len() != 0 {
			t.Errorf("%d and %d sessions", a.server.Len(), b.server.Len())
		}
		if got := b.post(eio, "1-999", body); got.status != 400 || !strings.Contains(got.body, `"code":1`) {
			t.Errorf("of this one, but not there: %v", got)
		}
		if got := b.post(eio, "0-999", body); got.status != 400 || !strings.Contains(got.body, `"code":1`) {
			t.Errorf("of the other, but not there: %v", got)
		}
		if got := b.post(eio, "nobody's", body); got.status != 400 || !strings.Contains(got.body, `"code":1`) {
			t.Errorf("of nobody: %v", got)
		}
	}
}

func TestElsewhereJSONP(t *testing.T) {
	a, b := neighbours(t, nil)
	sid := sidOf(t, answer{body: strings.ReplaceAll(a.do("GET", "/engine.io/?EIO=3&transport=polling&j=0", "").body, `\"`, `"`)})
	if got := b.do("POST", "/engine.io/?EIO=3&transport=polling&j=0&sid="+sid, "d=6%3A4hello", "Content-Type", "application/x-www-form-urlencoded"); got.status != 200 {
		t.Error(got)
	}
	if got := b.do("GET", "/engine.io/?EIO=3&transport=polling&j=0&sid="+sid, ""); got.body != `___eio[0]("6:4hello");` {
		t.Error(got)
	}
}

// What is wrong with a request is told by whoever gets it, and the headers of CORS are there once.
func TestElsewhereCORS(t *testing.T) {
	a, b := neighbours(t, func(o *engineio.Options) {
		o.CORS = &engineio.CORS{Origins: []string{"http://a.example"}, Credentials: true}
	})
	sid := sidOf(t, a.get(4, ""))
	if got := b.post(4, sid, "4x", "Origin", "http://b.example"); got.status != 403 {
		t.Error(got)
	}
	got := b.post(4, sid, "4x", "Origin", "http://a.example")
	if got.status != 200 || len(got.header.Values("Access-Control-Allow-Origin")) != 1 || len(got.header.Values("Vary")) != 1 {
		t.Error(got, got.header)
	}
	if got := b.do("OPTIONS", b.query(4, sid), "", "Origin", "http://a.example", "Access-Control-Request-Method", "POST"); got.status != 204 {
		t.Error(got)
	}
	if got := b.do("DELETE", b.query(4, sid), ""); got.status != 405 {
		t.Error(got)
	}
	if got := b.do("GET", "/engine.io/?EIO=4&transport=pigeon&sid="+sid, ""); !strings.Contains(got.body, `"code":0`) {
		t.Error(got)
	}
}

func TestElsewhereUpgrade(t *testing.T) {
	for name, opened := range map[string]bool{"net/http": false, "front door": true} {
		t.Run(name, func(t *testing.T) {
			if opened && !*front {
				*front = true
				defer func() { *front = false }()
			}
			a, b := neighbours(t, nil)
			sid := sidOf(t, a.get(4, ""))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(b.http.URL, "http")+"/engine.io/?EIO=4&transport=websocket&sid="+sid, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			for _, step := range [][2]string{{"2probe", "3probe"}, {"5", ""}, {"4hello", "4hello"}} {
				if err := c.Write(ctx, ws.Text, []byte(step[0])); err != nil {
					t.Fatal(err)
				}
				if step[1] == "" {
					continue
				}
				if m, err := c.Read(ctx); err != nil || string(m.Data) != step[1] {
					t.Fatalf("%q: %q, %v", step[0], m.Data, err)
				}
			}
			_, resp, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(b.http.URL, "http")+"/engine.io/?EIO=4&transport=websocket&sid=0-999", nil)
			if err == nil || resp == nil || resp.StatusCode != 400 {
				t.Errorf("not there: %v, %v", resp, err)
			}
		})
	}
}

// Two servers without sticky sessions: the ids of their sessions tell whose they are.
func ExampleOptions_elsewhere() {
	servers, sites := [2]*engineio.Server{}, [2]*httptest.Server{}
	var serial atomic.Int64
	for i := range servers {
		servers[i] = &engineio.Server{Options: engineio.Options{
			GenerateID: func(*http.Request) string { return fmt.Sprintf("%d-%d", i, serial.Add(1)) }, // but a secret one
			Elsewhere: func(sid string) http.Handler {
				owner, _, _ := strings.Cut(sid, "-")
				for o, site := range sites {
					if o != i && owner == fmt.Sprint(o) {
						to, _ := url.Parse(site.URL)
						return httputil.NewSingleHostReverseProxy(to)
					}
				}
				return nil // nobody has it
			},
		}}
		defer servers[i].Close()
		sites[i] = httptest.NewServer(servers[i])
		defer sites[i].Close()
	}

	resp, err := http.Get(sites[0].URL + "/engine.io/?EIO=4&transport=polling")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	resp, err = http.Post(sites[1].URL+"/engine.io/?EIO=4&transport=polling&sid=0-1", "text/plain", strings.NewReader("4hello"))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}
