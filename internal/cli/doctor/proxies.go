package doctor

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Proxies is the data of the check proxies.
type Proxies struct {
	Names   []string `json:"names"`   // those that are known
	Headers []Header `json:"headers"` // that show them
}

// Header is one that the server has sent.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// shows are headers by which proxies show themselves, and who it is that sends one; "" if many do.
var shows = []struct{ header, who string }{
	{"Server", ""}, {"Via", ""}, {"X-Cache", ""}, {"X-Served-By", ""}, {"X-Cache-Status", ""}, {"X-Proxy-Cache", ""}, {"Age", ""},
	{"Cf-Ray", "Cloudflare"}, {"Cf-Cache-Status", "Cloudflare"}, {"X-Amz-Cf-Id", "CloudFront"}, {"X-Amzn-Trace-Id", "AWS balancer"},
	{"X-Envoy-Upstream-Service-Time", "Envoy"}, {"X-Varnish", "Varnish"}, {"X-Azure-Ref", "Azure Front Door"}, {"X-Vercel-Id", "Vercel"},
	{"Fly-Request-Id", "Fly"}, {"X-Fastly-Request-Id", "Fastly"}, {"X-Akamai-Transformed", "Akamai"}, {"X-Github-Request-Id", "GitHub"},
	{"X-Haproxy-Server-State", "HAProxy"}, {"X-Kong-Proxy-Latency", "Kong"},
}

// known are the names of proxies in the values of Server and Via.
var known = []struct{ part, who string }{
	{"openresty", "nginx"}, {"nginx", "nginx"}, {"apache", "Apache"}, {"caddy", "Caddy"}, {"haproxy", "HAProxy"}, {"envoy", "Envoy"}, {"istio", "Envoy"},
	{"cloudflare", "Cloudflare"}, {"cloudfront", "CloudFront"}, {"awselb", "AWS balancer"}, {"varnish", "Varnish"}, {"google", "Google balancer"}, {"gws", "Google balancer"},
	{"akamai", "Akamai"}, {"microsoft-iis", "IIS"}, {"arr", "IIS"}, {"squid", "Squid"}, {"traefik", "Traefik"}, {"kong", "Kong"}, {"vercel", "Vercel"}, {"fly/", "Fly"},
	{"litespeed", "LiteSpeed"}, {"heroku", "Heroku"}, {"vegur", "Heroku"}, {"cowboy", "Heroku"},
}

// whoIs are the proxies that show themselves in the head of an answer, the nearest first as far as that can be told.
func whoIs(h http.Header) []string {
	var who []string
	add := func(name string) {
		if !slices.Contains(who, name) {
			who = append(who, name)
		}
	}
	for _, s := range shows {
		values := h.Values(s.header)
		if len(values) > 0 && s.who != "" {
			add(s.who)
		}
		if s.header != "Server" && s.header != "Via" {
			continue
		}
		for _, value := range values {
			value = strings.ToLower(value)
			for _, k := range known {
				if strings.Contains(value, k.part) {
					add(k.who)
					break
				}
			}
		}
	}
	return who
}

// checkProxies tells who shows himself. That is no problem in itself.
func checkProxies(_ context.Context, e *examination) Result {
	data := &Proxies{Names: append([]string{}, whoIs(e.head)...), Headers: []Header{}}
	var lines []string
	for _, s := range shows {
		for _, value := range e.head.Values(s.header) {
			if len(data.Headers) < 32 {
				data.Headers = append(data.Headers, Header{s.header, value})
				lines = append(lines, s.header+": "+value)
			}
		}
	}
	if cached(e.head) {
		return warn(data, "A cache answers for the server: keep it from what is live (Cache-Control: no-store, or a rule for these paths).", "%s", strings.Join(lines, ", "))
	}
	switch {
	case len(lines) == 0:
		return ok(data, "none shows itself")
	case len(data.Names) == 0:
		return ok(data, "%s", strings.Join(lines, ", "))
	}
	return ok(data, "%s (%s)", strings.Join(data.Names, ", "), strings.Join(lines, ", "))
}

// cached says whether an answer came from a cache.
func cached(h http.Header) bool {
	hit := strings.ToLower(h.Get("X-Cache") + " " + h.Get("Cf-Cache-Status") + " " + h.Get("X-Cache-Status") + " " + h.Get("X-Proxy-Cache"))
	return slices.Contains(strings.Fields(hit), "hit") || h.Get("Age") != "" && h.Get("Age") != "0"
}

// upgradeAdvice says how a proxy passes on an upgrade.
func upgradeAdvice(who []string) string {
	return adviceFor(who, map[string]string{
		"nginx": "nginx must pass on the upgrade: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";` in the location " +
			"(docs/reverse-proxies.md).",
		"Apache":       "Apache must pass on the upgrade: `ProxyPass ... upgrade=websocket`, since 2.4.47 (docs/reverse-proxies.md).",
		"Envoy":        "Envoy must pass on the upgrade: `upgrade_configs: [{upgrade_type: websocket}]` in its connection manager.",
		"Cloudflare":   "In Cloudflare's dashboard, Network, switch WebSockets on; behind it each proxy must pass on Upgrade and Connection.",
		"IIS":          "Install the WebSocket Protocol feature of IIS, and let ARR pass it on.",
		"Varnish":      "Varnish must pipe what has `Upgrade: websocket`: `return (pipe);`, with Upgrade and Connection set in vcl_pipe.",
		"AWS balancer": "A classic balancer must listen for TCP or SSL, not HTTP; an application balancer passes upgrades on: then it is a proxy behind it.",
	}, "Each proxy must pass on Upgrade and Connection, over HTTP/1.1 (docs/reverse-proxies.md).")
}

// holdAdvice says how a proxy passes on what comes as it comes.
func holdAdvice(who []string) string {
	return adviceFor(who, map[string]string{
		"nginx":      "nginx in front holds answers back: add `proxy_buffering off;` to the location, or let X-Accel-Buffering pass, and leave streams out of gzip_types (docs/reverse-proxies.md).",
		"Apache":     "Apache in front holds answers back: `SetEnvIf Request_URI \"^/(c|ws|socket\\.io)\" no-gzip`, and flushpackets=on with ProxyPass (docs/reverse-proxies.md).",
		"Cloudflare": "Cloudflare, or a proxy behind it, holds answers back: take compression and caching off for these paths.",
		"Varnish":    "Varnish holds answers back: `set beresp.do_stream = true;`, or pipe these paths.",
		"IIS":        "IIS holds answers back: set responseBufferLimit=0 for its proxy (ARR), and take dynamic compression off.",
	}, "Something in front holds answers back: a proxy that buffers or compresses, or a virus scanner of this network (docs/reverse-proxies.md).")
}

// idleAdvice says how a proxy keeps what is silent.
func idleAdvice(who []string) string {
	return adviceFor(who, map[string]string{
		"nginx":        "nginx cuts after `proxy_read_timeout` (60 s if not set): make it longer than the silence of the server, 90s for baro serve (docs/reverse-proxies.md)",
		"HAProxy":      "HAProxy cuts after `timeout tunnel`, or `client` and `server`: make them longer than the silence of the server (docs/reverse-proxies.md)",
		"Apache":       "Apache cuts after `timeout=` of ProxyPass, or Timeout: make it longer than the silence of the server (docs/reverse-proxies.md)",
		"Envoy":        "Envoy cuts after the route's `timeout` and `idle_timeout`: set both for these paths",
		"AWS balancer": "The balancer cuts after its attribute idle_timeout (60 s if not set): make it longer",
		"Cloudflare":   "Cloudflare cuts after 100 s of silence, which cannot be changed",
	}, "Something between here and the server cuts what is silent: make its timeout longer (docs/reverse-proxies.md)")
}

// adviceFor is the advice for the first of those who show themselves that there is one for.
func adviceFor(who []string, by map[string]string, otherwise string) string {
	for _, name := range who {
		if advice := by[name]; advice != "" {
			return advice
		}
	}
	return otherwise
}
