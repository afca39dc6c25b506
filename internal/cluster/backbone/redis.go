package backbone

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// options are what go-redis calls it.
func (r *Redis) options() (*redis.UniversalOptions, error) {
	wrong := func(why string) error { return fmt.Errorf("the URL %q of Redis: %s", hide(r.URL), why) }
	scheme, rest, ok := strings.Cut(r.URL, "://")
	if !ok {
		return nil, wrong("it must be redis://HOST:PORT, redis+sentinel://… or redis+cluster://…")
	}
	// url.Parse has no hosts in the plural.
	who, rest, ok := cutLast(rest, "@")
	if !ok {
		who, rest = "", who
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if strings.ContainsAny(rest, "?#") {
		return nil, wrong("it has no ? and #")
	}
	o := &redis.UniversalOptions{Username: r.User, Password: r.Password, SentinelPassword: r.SentinelPassword, Protocol: 2}
	if who != "" {
		u, err := url.Parse("redis://" + who + "@host")
		if err != nil {
			return nil, wrong("its user or password is malformed")
		}
		o.Username = u.User.Username()
		if password, given := u.User.Password(); given {
			o.Password = password
		}
	}
	kind, secure := scheme, false
	if after, ok := strings.CutPrefix(scheme, "rediss"); ok {
		kind, secure = "redis"+after, true
	}
	port, parts := "6379", strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	var err error
	switch {
	case kind == "redis" && len(parts) <= 1 && !strings.Contains(hosts, ","):
		o.DB, err = database(parts)
	case kind == "redis+cluster" && len(parts) == 0:
		o.IsClusterMode = true
	case kind == "redis+sentinel" && (len(parts) == 1 || len(parts) == 2):
		port, o.MasterName = "26379", parts[0]
		o.DB, err = database(parts[1:])
	default:
		return nil, wrong("it must be redis://HOST:PORT/DB, redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DB or redis+cluster://HOST:PORT,HOST:PORT, " +
			"and with TLS begin with rediss")
	}
	if err != nil {
		return nil, wrong(err.Error())
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := withPort(host, port)
		if err != nil {
			return nil, wrong(fmt.Sprintf("%q is no address", host))
		}
		o.Addrs = append(o.Addrs, address)
	}
	if secure || r.TLS.Given() {
		if o.TLSConfig, err = r.TLS.Client(); err != nil {
			return nil, err
		}
		if !secure {
			return nil, wrong("there are files for TLS: it must begin with rediss")
		}
	}
	return o, nil
}

func cutLast(s, by string) (before, after string, found bool) {
	if i := strings.LastIndex(s, by); i >= 0 {
		return s[:i], s[i+len(by):], true
	}
	return s, "", false
}

// database is the number at the end of a path; 0 for none.
func database(parts []string) (int, error) {
	if len(parts) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseUint(parts[0], 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of a database", parts[0])
	}
	return int(n), nil
}

// withPort is HOST:PORT of HOST or HOST:PORT.
func withPort(address, port string) (string, error) {
	host, given, err := net.SplitHostPort(address)
	if err != nil {
		host, given, err = net.SplitHostPort(net.JoinHostPort(strings.Trim(address, "[]"), port))
	}
	if err != nil {
		return "", err
	}
	if _, err := strconv.ParseUint(given, 10, 16); err != nil || host == "" {
		return "", fmt.Errorf("%q is no address", address)
	}
	return net.JoinHostPort(host, given), nil
}
