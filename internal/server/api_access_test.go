package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

// requests are one for each route, that is in order.
var requests = map[string]string{
	"publish":              `{"channel":"shop/1","data":"x"}`,
	"batch":                `{"messages":[{"channel":"shop/1","data":"x"}]}`,
	"broadcast":            `{"users":["ana"],"message":{"data":"x"}}`,
	"subscribe":            `{"users":["ana"],"channel":"shop/1"}`,
	"unsubscribe":          `{"users":["ana"],"channel":"shop/1"}`,
	"disconnect":           `{"users":["ana"]}`,
	"call":                 `{"user":"ana","method":"m"}`,
	"calls/x":              "",
	"presence?channel=a":   "",
	"history?channel=a":    "",
	"channels":             "",
	"connections?user=ana": "",
	"info":                 "",
	"nodes":                "",
}

func methodOf(body string) string {
	if body == "" {
		return http.MethodGet
	}
	return http.MethodPost
}

// Each route is for whom it is for, and for nobody else.
func TestAPIAccess(t *testing.T) {
	s, as := startAPI(t, Config{AllowOrigins: []string{"https://good.com"}})
	_, foreign := keyring(t)
	found := map[string]bool{}
	for path, body := range requests {
		name, _, _ := strings.Cut(path, "?")
		rt, _, ok := s.api.find(apiRoot + name)
		if !ok || rt.method != methodOf(body) {
			t.Fatalf("%s is not a route", name)
		}
		found[name] = true
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}

		// Scopes.
		for _, key := range []string{"publish", "call", "read", "manage", "all", "limited"} {
			a, text := as(key).ask(path, body)
			has := key == string(rt.scope) || key == "all" || key == "limited"
			if has == strings.Contains(text, "has not the scope") || !has && a.StatusCode != 403 {
				t.Errorf("%s with the key %s: %d, %s", path, key, a.StatusCode, text)
			}
		}
		// Keys that are none. A wrong one and one that does not exist look the same.
		for _, header := range [][]string{
			{}, {"Authorization", "Basic YTpi"}, {"Authorization", "Bearer x.y.z"}, {"X-HTTP-Method-Override", "GET"},
		} {
			as("").refused(401, "unauthorized", path, body, header...)
		}
		right := as("all").key
		var said []string
		for _, wrong := range []string{
			foreign["all"], right[:len(right)-1] + "1", right + "A", "baro_", "baro_x", "baro_é_", strings.Repeat("baro_a_", 1000),
		} {
			a, text := as("").ask(path, body, "X-API-Key", wrong)
			wantError(t, a, text, 401, "unauthorized")
			if a.Header.Get("WWW-Authenticate") == "" {
				t.Error("a 401 without WWW-Authenticate")
			}
			said = append(said, text)
		}
		if said[0] != said[1] {
			t.Errorf("who guesses learns which ids there are: %q", said[:2])
		}
		as("").refused(401, "unauthorized", path+separator+"key="+right, body)
		as("all").refused(401, "unauthorized", path, body, "X-API-Key", right)

		// Pages. Origins that may use channels may not use the API.
		for _, header := range [][]string{
			{"Origin", "https://evil.com"}, {"Origin", "https://good.com"}, {"Origin", "null"}, {"Origin", s.url(""), "Origin", s.url("")},
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		} {
			as("all").refused(403, "origin_not_allowed", path, body, header...)
		}
		if a, text := as("all").ask(path, body, "Origin", s.url(""), "Sec-Fetch-Site", "same-origin"); a.StatusCode == 403 {
			t.Errorf("%s from a page of the server itself: %s", path, text)
		}

		// Methods.
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"} {
			if method == rt.method {
				continue
			}
			a, text := request(t, method, s.url(apiRoot+path), "", "Authorization", "Bearer "+right,
				"X-HTTP-Method-Override", rt.method, "Access-Control-Request-Method", rt.method)
			if method != "HEAD" {
				wantError(t, a, text, 405, "method_not_allowed")
			}
			if a.StatusCode != 405 || a.Header.Get("Allow") != rt.method || a.Header.Get("Access-Control-Allow-Methods") != "" {
				t.Errorf("%s %s: %d, %v", method, path, a.StatusCode, a.Header)
			}
		}
		as("all").refused(404, "not_found", strings.Replace(path, name, name+"/", 1), body)
		as("all").refused(404, "not_found", strings.Replace(path, name, strings.ToUpper(name), 1), body)

		// What is asked for.
		if body == "" {
			as("all").refused(400, "invalid_query", path+separator+"chanel=a", "")
			as("all").refused(400, "invalid_query", path+separator+"%zz", "")
			if _, query, ok := strings.Cut(path, "?"); ok {
				as("all").refused(400, "invalid_query", path+"&"+query, "")
			}
			a, text := request(t, "GET", s.url(apiRoot+path), "{}", "Authorization", "Bearer "+right)
			wantError(t, a, text, 400, "unexpected_body")
			continue
		}
		as("all").refused(400, "invalid_query", path+separator+"dry=1", body)
		for _, wrong := range []string{
			"{", "null", "[]", "x", body + "x", body + body, `{"zzz":1,` + body[1:], `{"` + strings.Repeat(`a":{"`, 50_000), "\xff",
		} {
			as("all").refused(400, "invalid_body", path, wrong)
		}
		for _, kind := range [][]string{
			{"Content-Type", "text/plain"}, {"Content-Type", ""}, {"Content-Type", "application/x-www-form-urlencoded"},
			{"Content-Type", "application/json; charset=utf-16"}, {"Content-Type", "application/json;;"}, {"Content-Type", "application/jsonp"},
			{"Content-Type", "application/json", "Content-Type", "text/plain"},
		} {
			as("all").refused(415, "unsupported_type", path, body, kind...)
		}
		for _, encoding := range []string{"gzip", "GZIP", "br", "identity, gzip", "zstd"} {
			as("all").refused(415, "unsupported_encoding", path, body, "Content-Encoding", encoding)
		}
	}
	if len(found) != len(s.api.routes) {
		t.Errorf("there are %d routes, of which %d are tested", len(s.api.routes), len(found))
	}
	for _, path := range []string{"", "publsh", "../v1/publish", "publish%2f", "calls/{id}", "calls"} {
		as("all").refused(404, "not_found", path, "")
	}
}

// The document has every route of the server, and no other.
func TestAPIDocument(t *testing.T) {
	s, as := startAPI(t, Config{})
	document := do[struct {
		Paths map[string]map[string]struct {
			Description string
		}
	}](as(""), 200, "openapi.json", "")
	want := map[string]string{apiDocument: "get"}
	for path, rt := range s.api.routes {
		want[apiRoot+path] = strings.ToLower(rt.method)
	}
	got := map[string]string{}
	for path, operations := range document.Paths {
		for method, operation := range operations {
			got[path] += method
			if rt, ok := s.api.routes[strings.TrimPrefix(path, apiRoot)]; ok && !strings.Contains(operation.Description, "Scope: "+string(rt.scope)+".") {
				t.Errorf("%s does not say that its scope is %s", path, rt.scope)
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, method := range []string{"POST", "OPTIONS", "HEAD"} {
		if a, _ := request(t, method, s.url(apiDocument), ""); a.StatusCode != 405 || a.Header.Get("Allow") != "GET" {
			t.Error(method, a)
		}
	}
	as("").refused(403, "origin_not_allowed", "openapi.json", "", "Origin", "https://evil.com")
}

// A key that is for some channels only is for those, and their users.
func TestAPILimitedKeys(t *testing.T) {
	s, as := startAPI(t, Config{})
	b := as("limited")
	ana := connectDevice(t, s, "ana", func(d *device, c clients.Call) { _ = d.Answer(c.ID, c.Data, nil) })
	ben := connectDevice(t, s, "ben", nil)
	publishText(t, s, "other", "x")

	do[apiPublished](b, 200, "publish", `{"channel":"shop/1","data":"x"}`)
	do[apiPublished](b, 200, "publish", `{"channel":"@ana","data":"x"}`)
	for _, name := range []string{"other", "@ben", "@shop/1", "shop", "Shop/1"} {
		b.refused(403, "forbidden", "publish", `{"channel":"`+name+`","data":"x"}`)
		b.refused(403, "forbidden", "history?channel="+name, "")
		b.refused(403, "forbidden", "presence?channel="+name, "")
		b.refused(403, "forbidden", "subscribe", `{"users":["ana"],"channel":"`+name+`"}`)
	}
	do[apiPresence](b, 200, "presence?channel=shop/1", "")
	r := do[apiResults](b, 200, "batch", `{"messages":[{"channel":"shop/2","data":"x"},{"channel":"other","data":"x"}]}`).Results
	if r[0].Offset != 1 || r[1].Error == nil || r[1].Error.Code != "forbidden" {
		t.Errorf("%+v", r)
	}
	r = do[apiResults](b, 200, "broadcast", `{"users":["ben","ana"],"message":{"data":"x"}}`).Results
	if r[0].Error == nil || r[0].Error.Code != "forbidden" || r[1].Offset != 2 {
		t.Errorf("%+v", r)
	}
	if i, _ := s.Hub().Info("other"); i.Position.Offset != 1 {
		t.Error("another's channel was published to")
	}

	if n := do[apiReached](b, 200, "subscribe", `{"users":["ana"],"channel":"shop/1"}`); n.Clients != 1 {
		t.Error(n)
	}
	for _, target := range []string{`"users":["ben"]`, `"users":["ana","ben"]`, `"clients":["` + ana.ID() + `"]`} {
		b.refused(403, "forbidden", "subscribe", `{`+target+`,"channel":"shop/1"}`)
		b.refused(403, "forbidden", "unsubscribe", `{`+target+`,"channel":"shop/1"}`)
		b.refused(403, "forbidden", "disconnect", `{`+target+`}`)
	}
	if log := ben.take(); log != "" {
		t.Error(log)
	}
	do[apiCallAnswer](b, 200, "call", `{"user":"ana","method":"m"}`)
	b.refused(403, "forbidden", "call", `{"user":"ben","method":"m"}`)
	b.refused(403, "forbidden", "call", `{"client":"`+ana.ID()+`","method":"m"}`)
	b.refused(403, "forbidden", "call", `{"user":"ana","client":"`+ana.ID()+`","method":"m"}`)

	own := do[apiCallAnswer](as("all"), 200, "call", `{"user":"ana","method":"m","hold":1}`)
	do[apiCallAnswer](b, 200, "calls/"+own.Call, "")
	others := do[apiCallAnswer](as("all"), 202, "call", `{"user":"carla","method":"m","hold":1}`)
	b.refused(404, "not_found", "calls/"+others.Call, "")

	do[apiConnections](b, 200, "connections?user=ana", "")
	for _, path := range []string{"connections?user=ben", "connections", "channels", "channels?pattern=shop/*", "info", "nodes"} {
		b.refused(403, "forbidden", path, "")
	}
}

// On one's own machine no key is needed, but for what says that it is from elsewhere.
func TestAPIDev(t *testing.T) {
	s, as := startAPI(t, Config{Dev: true})
	b := as("")
	for path, body := range requests {
		if a, text := b.ask(path, body, "Origin", s.url("")); a.StatusCode != 200 && a.StatusCode != 404 {
			t.Errorf("%s: %d, %s", path, a.StatusCode, text)
		}
		b.refused(403, "origin_not_allowed", path, body, "Origin", "http://localhost:3000")
		b.refused(401, "unauthorized", path, body, "X-API-Key", "baro_a_b")
	}
	as("read").refused(403, "forbidden", "publish", requests["publish"]) // a key is what it is
	// A page whose name somebody has pointed at this machine is of the same origin as it.
	for _, host := range []string{"evil.com", "evil.com:8000", "127.0.0.1.evil.com", "localhost.evil.com", "evil.local.com"} {
		b.refused(403, "forbidden", "publish", requests["publish"], "Host", host)
		b.refused(403, "forbidden", "publish", requests["publish"], "Host", host, "Origin", "http://"+host)
		do[apiPublished](as("publish"), 200, "publish", requests["publish"], "Host", host)
	}
	for _, host := range []string{"localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:1", "[::1]:8000", "192.168.1.2", "baro:8000", "my.local", "host.docker.internal:8000"} {
		do[apiPublished](b, 200, "publish", requests["publish"], "Host", host)
	}
}

// A server without keys has no API, but in development.
func TestAPIWithoutKeys(t *testing.T) {
	s := start(t, Config{})
	b := &backend{t, s, ""}
	_, foreign := keyring(t)
	for path, body := range requests {
		b.refused(401, "unauthorized", path, body)
		b.refused(401, "unauthorized", path, body, "X-API-Key", foreign["all"])
	}
}

// What is too large is refused before it is read, or as soon as it turns out to be.
func TestAPILargeBodies(t *testing.T) {
	s, as := startAPI(t, Config{})
	for path, body := range requests {
		if body == "" {
			continue
		}
		limit := s.bodyLimit(s.api.routes[path].many)
		for _, header := range []string{"Content-Length: 100000000", fmt.Sprintf("Content-Length: %d", limit+1)} {
			c := rawAPI(t, s, path, as("all").key, header)
			a, err := http.ReadResponse(c.reader, nil) // none of the body is sent
			if err != nil || a.StatusCode != 413 || !a.Close {
				t.Errorf("%s, %s: %v, %v", path, header, a, err)
			}
		}
		// Who may not is told so, without a byte of the body.
		c := rawAPI(t, s, path, "baro_a_b", "Content-Length: 100000000")
		if a, err := http.ReadResponse(c.reader, nil); err != nil || a.StatusCode != 401 || !a.Close {
			t.Errorf("%s: %v, %v", path, a, err)
		}
		// In chunks nobody knows before.
		c = rawAPI(t, s, path, as("all").key, "Transfer-Encoding: chunked")
		chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", 1<<20, bytes.Repeat([]byte(" "), 1<<20))
		sent := make(chan int64, 1)
		go func() {
			n := int64(0)
			for n < 100<<20 {
				if _, err := c.Write(chunk); err != nil {
					break
				}
				n += 1 << 20
			}
			sent <- n
		}()
		a, err := http.ReadResponse(c.reader, nil)
		if err != nil || a.StatusCode != 413 {
			t.Errorf("%s: %v, %v", path, a, err)
		}
		c.Close()
		if n := <-sent; n > limit+48<<20 { // what buffers of sockets hold: 32 MiB of one side, 4 of the other
			t.Errorf("%s: %d bytes were taken, the limit is %d", path, n, limit)
		}
	}
}

// Many of anything are refused as many, however short each is.
func TestAPIManyOfAnything(t *testing.T) {
	s, as := startAPI(t, Config{})
	many := func(element string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	b := as("all")
	b.refused(413, "too_large", "batch", `{"messages":`+many(`{}`, 1_000_000)+`}`)
	b.refused(413, "too_large", "broadcast", `{"channels":`+many(`"a"`, 100_000)+`,"message":{"data":"x"}}`)
	b.refused(413, "too_large", "broadcast", `{"users":`+many(`"a"`, 100_000)+`,"message":{"data":"x"}}`)
	for _, path := range []string{"subscribe", "unsubscribe", "disconnect"} {
		b.refused(413, "too_large", path, `{"users":`+many(`"a"`, 100_000)+`}`)
		b.refused(413, "too_large", path, `{"clients":`+many(`"a"`, 10_001)+`}`)
	}
	if stats := s.Hub().Stats(); stats.Channels != 0 {
		t.Errorf("%d channels were made", stats.Channels)
	}
	if r := do[apiResults](b, 200, "batch", `{"messages":`+many(`{"channel":"a","data":""}`, 10_000)+`}`); len(r.Results) != 10_000 || r.Results[9999].Offset != 10_000 {
		t.Error(len(r.Results))
	}
	b.refused(400, "invalid_body", "publish", `{"channel":"a","json":`+strings.Repeat("[", 101)+strings.Repeat("]", 101)+`}`)
	b.refused(400, "invalid_body", "call", `{"user":"a","method":"m","data":`+strings.Repeat(`{"a":`, 101)+"1"+strings.Repeat("}", 101)+`}`)
	do[apiPublished](b, 200, "publish", `{"channel":"a","json":`+strings.Repeat("[", 90)+strings.Repeat("]", 90)+`}`)
}

// A channel beyond the bound is refused one by one.
func TestAPITooManyChannels(t *testing.T) {
	s, as := startAPI(t, Config{Channels: channel.Options{MaxChannels: 2}})
	connectDevice(t, s, "ana", nil)
	for _, name := range []string{"one", "two"} {
		s.registry.Subscribe(clients.Target{Users: []string{"ana"}}, name)
	}
	a, text := as("publish").ask("publish", `{"channel":"three","data":"x"}`)
	wantError(t, a, text, 503, "too_many_channels")
	if a.Header.Get("Retry-After") == "" {
		t.Error("when to come back?")
	}
	r := do[apiResults](as("publish"), 200, "broadcast", `{"channels":["one","three"],"message":{"data":"x"}}`).Results
	if r[0].Offset != 1 || r[1].Error == nil || r[1].Error.Number != 1005 {
		t.Errorf("%+v", r)
	}
}

// A server that stops does nothing more.
func TestAPIStopping(t *testing.T) {
	s, as := startAPI(t, Config{})
	s.stop(t.Context())
	for path, body := range requests {
		if body != "" {
			as("all").refused(503, "stopping", path, body)
		}
	}
}

// What others have chosen is in answers as JSON, which is no page: nosniff, and its type, say so.
func TestAPIScripts(t *testing.T) {
	s, as := startAPI(t, Config{})
	script := `<script>alert(1)</script>`
	connectDevice(t, s, script, nil)
	publishText(t, s, script, "x")
	for _, path := range []string{"connections", "channels", "history?channel=a&" + script, "calls/" + script} {
		a, text := as("all").ask(path, "")
		if a.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(a.Header.Get("Content-Type"), typeJSON) || strings.Contains(text, "<") {
			t.Errorf("%s: %v, %s", path, a.Header, text)
		}
	}
	var c apiConnections
	if _, text := as("all").ask("connections", ""); json.Unmarshal([]byte(text), &c) != nil || c.Connections[0].User != script {
		t.Error(text)
	}
}

type rawConn struct {
	net.Conn
	reader *bufio.Reader
}

func rawAPI(t *testing.T, s *Server, path, key string, header ...string) rawConn {
	t.Helper()
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, err = fmt.Fprintf(c, "POST %s%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n",
		apiRoot, path, key, strings.Join(header, "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return rawConn{c, bufio.NewReader(c)}
}
