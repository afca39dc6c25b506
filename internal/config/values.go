package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/server"
)

// duration is a time as "90s", "5m" or "24h".
type duration time.Duration

func (d duration) std() time.Duration { return time.Duration(d) }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q: it must be a time with its unit, as 500ms, 90s, 5m or 24h", text)
	}
	*d = duration(v)
	return nil
}

// Set, String and Type make it a flag.
func (d *duration) Set(text string) error { return d.UnmarshalText([]byte(text)) }

func (d *duration) String() string { return shortDuration(time.Duration(*d).String()) }

func (*duration) Type() string { return "duration" }

// path is of a file; in a configuration file it is relative to that.
type path string

// size is a number of bytes, as 4194304 or "4MiB".
type size int64

func (s *size) UnmarshalText(text []byte) error {
	v, err := parseSize(string(text))
	*s = size(v)
	return err
}

func parseSize(text string) (int64, error) {
	digits, shift := text, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if d, ok := strings.CutSuffix(text, unit); ok {
			digits, shift = strings.TrimSpace(d), 10*(i+1)
		}
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && (v > math.MaxInt64>>shift || v < math.MinInt64>>shift) {
		return 0, fmt.Errorf("%q: it is too large", text)
	}
	if err != nil {
		return 0, fmt.Errorf("%q: it must be a number of bytes, or a number and KiB, MiB or GiB", text)
	}
	return v << shift, nil
}

// formatSize is the shortest text that parseSize reads.
func formatSize(v int64) string {
	units := []string{"", "KiB", "MiB", "GiB"}
	i := 0
	for v != 0 && v%1024 == 0 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return strconv.FormatInt(v, 10) + units[i]
}

// sizeFlag is a flag of a number of bytes.
type sizeFlag[T int | int64] struct{ to *T }

func (f sizeFlag[T]) Set(text string) error {
	v, err := parseSize(text)
	if err == nil && int64(T(v)) != v {
		err = fmt.Errorf("%q: it is too large", text)
	}
	if err == nil {
		*f.to = T(v)
	}
	return err
}

func (f sizeFlag[T]) String() string {
	if f.to == nil {
		return ""
	}
	return formatSize(int64(*f.to))
}

func (sizeFlag[T]) Type() string { return "size" }

// pattern names channels.
type pattern struct{ channel.Pattern }

func (p *pattern) UnmarshalText(text []byte) (err error) {
	p.Pattern, err = channel.ParsePattern(string(text))
	if wrong, ok := errors.AsType[*channel.InvalidError](err); ok {
		return fmt.Errorf("%q: %s", text, wrong.Reason)
	}
	return err
}

// who is who may do something without a token that says so.
type who clients.Who

func (w *who) UnmarshalText(text []byte) error {
	switch *w = who(text); clients.Who(*w) {
	case clients.Anyone, clients.Users, clients.Token, clients.Nobody:
		return nil
	}
	return fmt.Errorf("%q: it must be %s, %s, %s or %s", text, clients.Anyone, clients.Users, clients.Token, clients.Nobody)
}

// scope is what an API key is for.
type scope auth.Scope

func (s *scope) UnmarshalText(text []byte) error {
	for _, known := range auth.Scopes() {
		if string(known) == string(text) {
			*s = scope(text)
			return nil
		}
	}
	return fmt.Errorf("%q: there is no such scope: there are %q", text, auth.Scopes())
}

// adminFlag is the address of the second listener, which is not optional where somebody has said it.
type adminFlag struct{ server *server.Config }

func (f adminFlag) Set(address string) error {
	f.server.AdminListen, f.server.AdminOptional = address, false
	return nil
}

func (f adminFlag) String() string {
	if f.server == nil {
		return ""
	}
	return f.server.AdminListen
}

func (adminFlag) Type() string { return "string" }
