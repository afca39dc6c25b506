package webclient_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/internal/webclient"
)

func TestBase(t *testing.T) {
	for raw, want := range map[string]string{
		"ws://a/b?c": "http://a/b?c", "wss://a:1": "https://a:1", "http://a": "http://a", "https://[::1]/": "https://[::1]/",
	} {
		if got, err := webclient.Base(raw); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "a", "ftp://kim:secret@a", "ws:///a", "http://%zz"} {
		if got, err := webclient.Base(raw); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v", raw, got, err)
		}
	}
}

// Nobody has asked for another protocol, and no context would end what follows a 101.
func TestUnaskedSwitch(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	}))
	t.Cleanup(site.Close)
	route := webclient.Route{Proxy: func(*url.URL) (*url.URL, error) { return nil, nil }, TLS: new(tls.Config)}
	client := http.Client{Transport: route.Transport()}
	read := make(chan error, 1)
	go func() {
		resp, err := client.Get(site.URL)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testkit.Patience):
		t.Error("the answer does not end")
	}
}
