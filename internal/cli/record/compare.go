package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Mode is how what comes is compared with what was recorded.
type Mode string

// The modes.
const (
	Exact Mode = "exact" // byte by byte
	JSON  Mode = "json"  // as JSON, where it is that: without regard to spaces and the order of members
	Count Mode = "count" // how many there are, and whether they are text, bytes or events
	None  Mode = "none"  // not at all
)

// Modes are all of them.
var Modes = []Mode{Exact, JSON, Count, None}

// A Comparer compares messages. It is not changed once made.
type Comparer struct {
	Mode Mode
	// Ignore are members of JSON that may differ, in mode JSON: by name, wherever they are, or as a JSON pointer (RFC 6901), in which * is
	// any member or element.
	Ignore []string
}

// check finds mistakes.
func (c *Comparer) check() error {
	if !slices.Contains(Modes, c.Mode) {
		return fmt.Errorf("there is no way to compare called %.20q", c.Mode)
	}
	if len(c.Ignore) > 0 && c.Mode != JSON {
		return fmt.Errorf("members can be ignored where JSON is compared, and not with %q", c.Mode)
	}
	return nil
}

// differ says what is different of what was expected and what came; "" if nothing is.
func (c *Comparer) differ(want, got *Entry) string {
	switch {
	case c.Mode == None:
		return ""
	case want.Type != got.Type:
		return fmt.Sprintf("%s instead of %s", got.Type, want.Type)
	case c.Mode == Count:
		return ""
	case want.Event != got.Event:
		return fmt.Sprintf("the event %.60q instead of %.60q", got.Event, want.Event)
	}
	a, b := want.body(), got.body()
	if c.Mode == JSON {
		x, okX := parse(a)
		y, okY := parse(b)
		if okX && okY {
			return c.values(x, y, "")
		}
	}
	if like(a, b, want.Redacted) {
		return ""
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("from byte %d on", i)
}

// body is the data of a message.
func (e *Entry) body() []byte {
	switch {
	case e.Data != nil:
		return []byte(*e.Data)
	case e.Args != nil:
		return e.Args
	}
	return e.Base64
}

// like compares bytes; where secrets were replaced is anything.
func like(want, got []byte, wild bool) bool {
	if !wild {
		return bytes.Equal(want, got)
	}
	parts := bytes.Split(want, []byte(redacted))
	if len(parts) == 1 {
		return bytes.Equal(want, got)
	}
	if !bytes.HasPrefix(got, parts[0]) {
		return false
	}
	got = got[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := bytes.Index(got, part)
		if i < 0 {
			return false
		}
		got = got[i+len(part):]
	}
	return bytes.HasSuffix(got, parts[len(parts)-1])
}

func parse(text []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, err != nil && d.InputOffset() >= int64(len(bytes.TrimRight(text, " \t\r\n")))
}

// values says where two values of JSON are different.
func (c *Comparer) values(want, got any, at string) string {
	if want == redacted {
		return ""
	}
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			break
		}
		names := map[string]bool{}
		for name := range want {
			names[name] = true
		}
		for name := range got {
			names[name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			here := at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
			if c.ignored(name, here) {
				continue
			}
			x, was := want[name]
			y, is := got[name]
			switch {
			case !is:
				return here + " is missing"
			case !was:
				return here + " is new"
			}
			if d := c.values(x, y, here); d != "" {
				return d
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		if !ok {
			break
		}
		for i := range min(len(want), len(got)) {
			here := at + "/" + strconv.Itoa(i)
			if c.ignored("", here) {
				continue
			}
			if d := c.values(want[i], got[i], here); d != "" {
				return d
			}
		}
		if len(want) != len(got) {
			return fmt.Sprintf("%s has %d elements instead of %d", root(at), len(got), len(want))
		}
		return ""
	case json.Number:
		if got, ok := got.(json.Number); ok && sameNumber(want.String(), got.String()) {
			return ""
		}
	case string:
		if got, ok := got.(string); ok && (got == want || strings.Contains(want, redacted) && like([]byte(want), []byte(got), true)) {
			return ""
		}
	default:
		if want == got {
			return ""
		}
	}
	return root(at) + " is another"
}

func root(at string) string {
	if at == "" {
		return "the value"
	}
	return at
}

// sameNumber says whether two numbers of JSON are one: 1, 1.0 and 1e0 are.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if !strings.ContainsAny(a+b, ".eE") {
		return false // and not by rounding
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}

func (c *Comparer) ignored(name, at string) bool {
	for _, i := range c.Ignore {
		if name != "" && i == name || strings.HasPrefix(i, "/") && matches(i, at) {
			return true
		}
	}
	return false
}

// matches compares two JSON pointers, of which the first may have * for a part.
func matches(pattern, at string) bool {
	p, a := strings.Split(pattern, "/"), strings.Split(at, "/")
	return len(p) == len(a) && slices.EqualFunc(p, a, func(x, y string) bool { return x == "*" || x == y })
}
