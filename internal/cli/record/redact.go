package record

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

// redacted is what is written for a secret.
const redacted = "REDACTED"

// shortestSecret is how long what is known to be a secret must be to be looked for: shorter words are in everything.
const shortestSecret = 6

// A Redactor takes secrets out of what is recorded: those that the command itself was given, wherever they are, and in JSON the values of
// members whose names say that they are secrets. It is not changed once made.
type Redactor struct {
	values [][]byte
	names  map[string]bool
}

// secretNames are of members of JSON, without case, _ and -.
var secretNames = []string{
	"token", "accesstoken", "refreshtoken", "idtoken", "sessiontoken", "authtoken", "password", "passwd", "passphrase", "secret", "clientsecret", "apikey", "xapikey",
	"authorization", "cookie", "setcookie", "privatekey",
}

var secretHeader = regexp.MustCompile(`(?i)auth|cookie|token|key|secret|password`)

// NewRedactor looks for what a request's header has of secrets, and for members of JSON of the usual names and of those that are given.
func NewRedactor(h http.Header, names []string) *Redactor {
	r := &Redactor{names: map[string]bool{}}
	for _, name := range append(names, secretNames...) {
		r.names[plain(name)] = true
	}
	add := func(value string) {
		if len(value) >= shortestSecret {
			r.values = append(r.values, []byte(value))
		}
	}
	for name, values := range h {
		if !secretHeader.MatchString(name) || strings.EqualFold(name, "Sec-WebSocket-Key") {
			continue
		}
		for _, value := range values {
			add(value)
			_, credentials, _ := strings.Cut(value, " ")
			add(credentials)
			if strings.EqualFold(name, "Cookie") {
				for pair := range strings.SplitSeq(value, ";") {
					_, value, _ := strings.Cut(pair, "=")
					add(value)
				}
			}
		}
	}
	return r
}

func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// words takes known secrets out of words.
func (r *Redactor) words(s string) string { return string(r.known([]byte(s))) }

// known takes known secrets out of bytes.
func (r *Redactor) known(data []byte) []byte {
	for _, v := range r.values {
		data = bytes.ReplaceAll(data, v, []byte(redacted))
	}
	return data
}

// entry takes secrets out of a line, and says in it whether there were any.
func (r *Redactor) entry(e *Entry) {
	clean := func(data []byte) []byte {
		got := r.known(r.members(data))
		e.Redacted = e.Redacted || !bytes.Equal(got, data)
		return got
	}
	if e.Data != nil {
		text := string(clean([]byte(*e.Data)))
		e.Data = &text
	}
	if e.Base64 != nil {
		e.Base64 = clean(e.Base64)
	}
	if e.Args != nil {
		e.Args = clean(e.Args)
	}
	e.Reason, e.ID = r.words(e.Reason), r.words(e.ID)
}

// beforeJSON is what Engine.IO and Socket.IO put before JSON: types, a namespace, the number of an acknowledgement.
var beforeJSON = regexp.MustCompile(`^[0-9]{1,3}-?(?:/[^,{["]{0,255},)?[0-9]{0,20}`)

// members replaces the values of members that are secrets. What is no JSON stays as it is, from there on.
func (r *Redactor) members(text []byte) []byte {
	start := len(beforeJSON.Find(text[:min(len(text), 512)]))
	if body := bytes.TrimLeft(text[start:], " \t\r\n"); len(body) == 0 || body[0] != '{' && body[0] != '[' || !utf8.Valid(text) {
		return text
	}
	d := json.NewDecoder(bytes.NewReader(text[start:]))
	d.UseNumber()
	var out []byte
	done := 0 // of text, that is in out
	var objects []bool
	key, secret := false, false
	for {
		before := start + int(d.InputOffset())
		t, err := d.Token()
		if err != nil {
			break
		}
		after := start + int(d.InputOffset())
		value := true
		switch t := t.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				objects = append(objects, t == '{')
				key, secret = t == '{', false
				continue
			}
			objects = objects[:len(objects)-1]
		case string:
			if key {
				secret, key, value = r.names[plain(t)], false, false
			}
		}
		if !value {
			continue
		}
		if _, bracket := t.(json.Delim); secret && !bracket && t != nil {
			skip := len(text[before:after]) - len(bytes.TrimLeft(text[before:after], " \t\r\n:,"))
			out = append(append(out, text[done:before+skip]...), `"`+redacted+`"`...)
			done = after
		}
		secret = false
		key = len(objects) > 0 && objects[len(objects)-1]
	}
	if done == 0 {
		return text
	}
	return append(out, text[done:]...)
}
