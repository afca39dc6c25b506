package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// compact is a token taken apart (RFC 7515 section 7.1). Nothing in it is verified.
type compact struct {
	signed    string // what the signature is of
	signature []byte
	header    map[string]json.RawMessage
	claims    map[string]json.RawMessage
	alg, kid  string
	hasKid    bool
}

func parseCompact(token string) (*compact, error) {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return nil, refuse(ErrMalformed, "it is not a JSON Web Token: that has three parts")
	}
	c := &compact{signed: token[:len(header)+1+len(payload)]}
	var err error
	if c.header, err = decodeObject(header); err != nil {
		return nil, refuse(ErrMalformed, "the header of the token: "+err.Error())
	}
	if c.claims, err = decodeObject(payload); err != nil {
		return nil, refuse(ErrMalformed, "the claims of the token: "+err.Error())
	}
	if c.signature, err = base64url.DecodeString(signature); err != nil {
		return nil, refuse(ErrMalformed, "the signature of the token is not base64url")
	}
	return c, nil
}

// readHeader takes what is needed of the header. Where it speaks of keys (jku, jwk, x5u, x5c) it is not believed.
func (c *compact) readHeader() error {
	if _, ok := c.header["crit"]; ok { // RFC 7515 section 4.1.11: what is not understood is refused, and nothing is
		return refuse(ErrMalformed, "the header of the token demands an extension (crit)")
	}
	if err := member(c.header, "alg", &c.alg); err != nil {
		return err
	}
	c.hasKid = c.header["kid"] != nil
	if err := member(c.header, "kid", &c.kid); err != nil {
		return err
	}
	// RFC 8725 section 3.11: a token made for another purpose is not one for this.
	var typ string
	if err := member(c.header, "typ", &typ); err != nil {
		return err
	}
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "at+jwt":
		return nil
	}
	return refuse(ErrMalformed, "the token is of a type for another purpose (typ)")
}

// member reads a member, if it is there.
func member(object map[string]json.RawMessage, name string, into any) error {
	raw, ok := object[name]
	if !ok {
		return nil
	}
	if string(raw) == "null" || json.Unmarshal(raw, into) != nil {
		return refuse(ErrMalformed, fmt.Sprintf("%q has a value of the wrong kind", name))
	}
	return nil
}

// base64url is unpadded, and has one form for each sequence of bytes.
var base64url = base64.RawURLEncoding.Strict()

const maxDepth = 64 // of JSON in a token

// decodeObject reads a base64url-encoded JSON object. Members are known by their exact names, and two of one name are refused
// wherever they are, since readers do not agree on which of them counts (RFC 8725 section 2.4, RFC 7519 section 4).
func decodeObject(part string) (map[string]json.RawMessage, error) {
	// encoding/base64 skips line breaks.
	if strings.ContainsAny(part, "\r\n") {
		return nil, errors.New("it is not base64url")
	}
	data, err := base64url.DecodeString(part)
	if err != nil {
		return nil, errors.New("it is not base64url")
	}
	return parseObject(data)
}

func parseObject(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	if err := checkObject(data); err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, errors.New("it is not JSON")
	}
	return object, nil
}

// checkObject says whether data begins with a JSON object, and one without two members of one name.
func checkObject(data []byte) error {
	type level struct {
		names map[string]bool // of an object; nil in an array
		name  bool            // whether a name comes next
	}
	var levels []level
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return errors.New("it is not JSON")
		}
		if closing, ok := token.(json.Delim); ok && (closing == '}' || closing == ']') {
			levels = levels[:len(levels)-1]
			if len(levels) == 0 {
				return nil
			}
			continue
		}
		if len(levels) > 0 {
			if in := &levels[len(levels)-1]; in.names != nil {
				if name, ok := token.(string); ok && in.name {
					if in.names[name] {
						return errors.New("it has a name twice")
					}
					in.names[name], in.name = true, false
					continue
				}
				in.name = true
			}
		}
		switch {
		case token == json.Delim('{'):
			levels = append(levels, level{names: make(map[string]bool), name: true})
		case token == json.Delim('[') && len(levels) > 0:
			levels = append(levels, level{})
		case len(levels) == 0:
			return errors.New("it is not a JSON object")
		}
		if len(levels) > maxDepth {
			return fmt.Errorf("it is nested more than %d levels deep", maxDepth)
		}
	}
}
