package target

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"baro.dev/internal/cli/exit"
	"baro.dev/ws"
)

// ProxyAdvice is what helps where a proxy wants to know who it is.
const ProxyAdvice = "the proxy wants a name and password: --proxy http://NAME:PASSWORD@HOST:PORT, or HTTP_PROXY and HTTPS_PROXY, say them"

// Unconnected gives err, which is why there is no connection, its exit code: exit.Refused if somebody has answered, the proxy or the server, and
// exit.Unreachable if not.
func Unconnected(err error) error {
	proxy, ok := errors.AsType[*ws.ProxyError](err)
	switch {
	case WantsCredentials(err):
		return exit.With(exit.Refused, fmt.Errorf("%w: %s", err, ProxyAdvice))
	case ok && proxy.StatusCode < http.StatusInternalServerError, !ok && !exit.Unanswered(err):
		return exit.With(exit.Refused, err)
	}
	return exit.With(exit.Unreachable, err)
}

// unknownToProxy is how packages net/http and x/net/proxy say so, in whose errors there is no more than that.
var unknownToProxy = []string{
	http.StatusText(http.StatusProxyAuthRequired), "username/password authentication failed", "no acceptable authentication methods",
}

// WantsCredentials reports whether err is that a proxy wants a name and password, or others.
func WantsCredentials(err error) bool {
	if proxy, ok := errors.AsType[*ws.ProxyError](err); ok {
		return proxy.StatusCode == http.StatusProxyAuthRequired
	}
	text := err.Error()
	for _, end := range unknownToProxy {
		if strings.Contains(text, end) {
			return true
		}
	}
	return false
}
