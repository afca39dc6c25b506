package socketio_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"baro.dev/engineio"
	"baro.dev/socketio"
)

// Serve serves clients, files and what others answer.
func TestServe(t *testing.T) {
	server := socketio.NewServer(&socketio.Options{
		ClientFiles: fstest.MapFS{"socket.io.js": {Data: []byte("/* client */")}},
		Handler:     http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.URL.Path)) }),
		Engine:      engineio.Options{Logger: slog.New(slog.DiscardHandler)},
	})
	server.On("question", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	url := "http://" + l.Addr().String()

	p := dial(t, url)
	p.connect("0")
	p.send(`21["question",42]`)
	p.expect(`31[42]`)
	for path, want := range map[string]string{"/socket.io/socket.io.js": "/* client */", "/about": "/about"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != want {
			t.Errorf("%s: %q, %v", path, body, err)
		}
	}

	p.close()
	http.DefaultClient.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := server.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

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
