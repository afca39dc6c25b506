package webclient_test

import (
	"strings"
	"testing"

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
