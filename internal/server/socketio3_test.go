package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// eio3 polls as clients of version 2 do: by XMLHttpRequest, or by scripts (JSONP).
type eio3 struct {
	t     *testing.T
	http  *http.Client
	url   string
	jsonp bool
}

func (c *eio3) do(method, body string, header ...string) (*http.Response, string) {
	c.t.Helper()
	kind := "text/plain;charset=UTF-8"
	if c.jsonp && method == http.MethodPost {
		body, kind = url.Values{"d": {strings.ReplaceAll(body, "\n", `\n`)}}.Encode(), "application/x-www-form-urlencoded"
	}
	r, err := http.NewRequest(method, c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response, string(answer)
}

var script = regexp.MustCompile(`^___eio\[3\]\((".*")\);$`)

// get polls until what comes has want.
func (c *eio3) get(want string) string {
	c.t.Helper()
	for {
		response, body := c.do(http.MethodGet, "")
		if response.StatusCode != http.StatusOK || response.Header.Get("X-Content-Type-Options") != "nosniff" {
			c.t.Fatalf("status %d, %v, %s", response.StatusCode, response.Header, body)
		}
		if c.jsonp {
			m := script.FindStringSubmatch(body)
			if m == nil || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/javascript") || strings.ContainsAny(body, "<>") {
				c.t.Fatalf("no script, or a dangerous one: %v %s", response.Header, body)
			}
			if err := json.Unmarshal([]byte(m[1]), &body); err != nil {
				c.t.Fatal(err)
			}
		}
		if strings.Contains(body, want) {
			return body
		}
	}
}

func (c *eio3) post(packet string) {
	c.t.Helper()
	// Lengths count UTF-16 code units; these tests have ASCII only.
	response, body := c.do(http.MethodPost, strconv.Itoa(len(packet))+":"+packet)
	if response.StatusCode != http.StatusOK || body != "ok" {
		c.t.Fatalf("status %d, %s", response.StatusCode, body)
	}
}

func (s *Server) eio3(t *testing.T, jsonp bool) *eio3 {
	t.Helper()
	c := &eio3{t: t, http: client(t), url: s.url("/socket.io/?EIO=3&transport=polling&b64=1"), jsonp: jsonp}
	if jsonp {
		c.url += "&j=3"
	}
	hello := c.get(`"sid":"`)
	c.url += "&sid=" + regexp.MustCompile(`"sid":"([^"]+)"`).FindStringSubmatch(hello)[1]
	if !strings.Contains(hello, "2:40") {
		c.get("2:40") // it is connected without asking
	}
	return c
}

// Clients of version 2 speak another protocol below, and are welcome.
func TestSocketIOOldClients(t *testing.T) {
	for name, jsonp := range map[string]bool{"XMLHttpRequest": false, "JSONP": true} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{})
			a, b := s.eio3(t, jsonp), s.eio3(t, jsonp)
			a.post(`421["subscribe","news"]`)
			a.get(`431[{"epoch":"`)
			b.post(`421["publish","news","<script>alert(1)</script>",{"id":"x"}]`)
			b.get(`"id":"x"`)
			if got := a.get(`42["message"`); !strings.Contains(got, `"data":"<script>alert(1)</script>"`) {
				t.Error(got)
			}
			b.post(`422["publish","","x"]`)
			b.get(`"code":"invalid_name"`)
			a.post(`422["unsubscribe","news"]`)
			a.get(`432[true]`)
		})
	}
}

// A script can be asked for by any page, without saying which: by that alone it gets nothing, since what a client asks for has to
// be posted, and browsers say where a form comes from.
func TestJSONPOfOtherOrigins(t *testing.T) {
	s := start(t, Config{})
	c := s.eio3(t, true)
	response, body := c.do(http.MethodPost, `23:421["subscribe","news"]`, "Origin", "https://evil.example")
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, %s", response.StatusCode, body)
	}
	c.url = s.url("/socket.io/?EIO=3&transport=polling&j=alert(1)")
	if response, body := c.do(http.MethodGet, ""); response.StatusCode != http.StatusBadRequest || strings.Contains(body, "alert") {
		t.Errorf("status %d, %s", response.StatusCode, body)
	}
}
