package socketio_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"baro.dev/socketio"
)

func TestClientFiles(t *testing.T) {
	script := strings.Repeat("console.log('socket.io');\n", 100)
	files := fstest.MapFS{
		"socket.io.js":     {Data: []byte(script)},
		"socket.io.js.map": {Data: []byte("{}")},
		"secret.txt":       {Data: []byte("secret")},
	}
	_, with := start(t, &socketio.Options{ClientFiles: files})
	_, without := start(t, nil)
	_, never := start(t, &socketio.Options{ClientFiles: files, NoClient: true})
	tests := []struct {
		url, method string
		header      map[string]string
		status      int
		body        string
	}{
		{with + "/socket.io/socket.io.js", "GET", nil, 200, script},
		{with + "/socket.io/socket.io.js", "GET", map[string]string{"Accept-Encoding": "br, gzip;q=0.5"}, 200, script},
		{with + "/socket.io/socket.io.js", "GET", map[string]string{"Accept-Encoding": "gzip;q=0"}, 200, script},
		{with + "/socket.io/socket.io.js", "HEAD", nil, 200, ""},
		{with + "/socket.io/socket.io.js", "POST", nil, 405, ""},
		{with + "/socket.io/socket.io.js?v=1", "GET", map[string]string{"If-None-Match": "tag"}, 304, ""},
		{with + "/socket.io/socket.io.js.map", "GET", nil, 200, "{}"},
		{with + "/socket.io/socket.io.min.js", "GET", nil, 404, "The client for browsers is not part of this server"},
		{with + "/socket.io/secret.txt", "GET", nil, 404, "404 page not found"},
		{with + "/socket.io/../socket.io/secret.txt", "GET", nil, 404, ""},
		{without + "/socket.io/socket.io.js", "GET", nil, 404, "The client for browsers is not part of this server"},
		{never + "/socket.io/socket.io.js", "GET", nil, 404, "404 page not found"},
		{with + "/socket.ioo/", "GET", nil, 404, "404 page not found"},
		{with + "/", "GET", nil, 404, "404 page not found"},
		{with + "/socket.io", "GET", nil, 400, `{"code":0,"message":"Transport unknown"}`},
		{with + "/socket.io/", "GET", nil, 400, `{"code":0,"message":"Transport unknown"}`},
	}
	tag := ""
	for _, test := range tests {
		r, _ := http.NewRequest(test.method, test.url, nil)
		for k, v := range test.header {
			r.Header.Set(k, strings.Replace(v, "tag", tag, 1))
		}
		if r.Header.Get("Accept-Encoding") == "" {
			r.Header.Set("Accept-Encoding", "identity")
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = a.Body
		if gzipped := a.Header.Get("Content-Encoding") == "gzip"; gzipped != (test.header["Accept-Encoding"] == "br, gzip;q=0.5") {
			t.Errorf("%s %s: %v", test.method, test.url, a.Header)
		} else if gzipped {
			if body, err = gzip.NewReader(a.Body); err != nil {
				t.Fatal(err)
			}
		}
		b, _ := io.ReadAll(body)
		a.Body.Close()
		if a.StatusCode != test.status || !strings.HasPrefix(string(b), test.body) {
			t.Errorf("%s %s: %s %s", test.method, test.url, a.Status, b)
		}
		if a.StatusCode == 200 {
			tag = a.Header.Get("ETag")
			if tag == "" || a.Header.Get("Cache-Control") != "public, max-age=0" {
				t.Errorf("%s: %v", test.url, a.Header)
			}
		}
	}
}
