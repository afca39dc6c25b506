package listen

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
)

// Bounds of what clients can put into a program's environment.
const (
	maxHeaders     = 64
	maxHeaderBytes = 32 << 10
)

// passedOn are the variables of this process that programs get. Others may be secrets.
func passedOn() []string {
	return []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SYSTEMROOT", "TEMP", "TMP", "COMSPEC", "PATHEXT"}
}

var errNUL = errors.New("the request has a NUL")

// environment is what a program is told of its client, by the names of CGI (RFC 3875 section 4.1). Headers come as HTTP_*, except those with
// credentials (section 4.1.18), Proxy, which as HTTP_PROXY would redirect what the program fetches, and those whose names have an
// underscore, which another name could pretend to be.
func (s *Server) environment(r *http.Request) ([]string, error) {
	env := map[string]string{}
	for _, name := range passedOn() {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	for _, entry := range s.c.Environment {
		name, value, given := strings.Cut(entry, "=")
		if !given {
			value = os.Getenv(name)
		}
		env[name] = value
	}
	host, port, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil { // a unix socket
		host, port = r.RemoteAddr, ""
	}
	server, serverPort := r.Host, ""
	if h, p, err := net.SplitHostPort(r.Host); err == nil {
		server, serverPort = h, p
	}
	maps.Copy(env, map[string]string{
		"GATEWAY_INTERFACE": "CGI/1.1",
		"SERVER_SOFTWARE":   "baro",
		"SERVER_PROTOCOL":   r.Proto,
		"SERVER_NAME":       server,
		"SERVER_PORT":       serverPort,
		"REQUEST_METHOD":    r.Method,
		"REQUEST_URI":       r.URL.RequestURI(),
		"SCRIPT_NAME":       "",
		"PATH_INFO":         r.URL.Path,
		"QUERY_STRING":      r.URL.RawQuery,
		"REMOTE_ADDR":       host,
		"REMOTE_HOST":       host,
		"REMOTE_PORT":       port,
	})
	if r.TLS != nil {
		env["HTTPS"] = "on"
	}
	headers(env, r.Header)
	all := make([]string, 0, len(env))
	for name, value := range env {
		if strings.ContainsRune(value, 0) {
			return nil, errNUL
		}
		all = append(all, name+"="+value)
	}
	slices.Sort(all)
	return all, nil
}

func headers(env map[string]string, h http.Header) {
	count, size := 0, 0
	for _, name := range slices.Sorted(maps.Keys(h)) {
		switch name {
		case "Authorization", "Proxy-Authorization", "Proxy":
			continue
		}
		value := strings.Join(h[name], ", ")
		if !plainName(name) || count == maxHeaders || size+len(name)+len(value) > maxHeaderBytes {
			continue
		}
		count++
		size += len(name) + len(value)
		env["HTTP_"+strings.ReplaceAll(strings.ToUpper(name), "-", "_")] = value
	}
}

// plainName has letters, digits and hyphens alone.
func plainName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-'
	})
}
