package server

import (
	"strings"
	"testing"
)

// All mistakes of a configuration are told at once.
func TestAllMistakesAreTold(t *testing.T) {
	err := Config{
		Listen: "here", AllowOrigins: []string{"example.com", "*", "ftp://a"}, TrustedProxies: []string{"nonsense"}, MaxWait: -1, TLSCert: "cert.pem",
	}.Check()
	if err == nil {
		t.Fatal("nothing is wrong with it")
	}
	for _, want := range []string{"listen", `"example.com"`, `"*"`, `"ftp://a"`, "nonsense", "max_wait", "certificate"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not told: %v", want, err)
		}
	}
}
