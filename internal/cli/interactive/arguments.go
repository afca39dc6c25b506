package interactive

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
)

// maxFile is how large a file is that can be sent, in bytes.
const maxFile = 64 << 20

// readFile reads a file that is to be sent.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name) // before opening: that would wait for the other end of a pipe
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &os.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > maxFile {
		return nil, &os.PathError{Op: "read", Path: name, Err: fmt.Errorf("it has more than %s", count(maxFile, "byte"))}
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// parseBinary reads bytes: @FILE, hex:..., base64:..., or either without saying so; what can be both is hexadecimal.
func parseBinary(s string) ([]byte, error) {
	if name, ok := strings.CutPrefix(s, "@"); ok {
		return readFile(name)
	}
	if digits, ok := strings.CutPrefix(s, "hex:"); ok {
		return parseHex(digits)
	}
	if text, ok := strings.CutPrefix(s, "base64:"); ok {
		return parseBase64(text)
	}
	if b, err := parseHex(s); err == nil {
		return b, nil
	}
	b, err := parseBase64(s)
	if err != nil {
		return nil, errors.New("this is neither hexadecimal nor base64; @FILE sends a file")
	}
	return b, nil
}

// parseHex reads digits, two a byte, with or without spaces, colons and 0x.
func parseHex(s string) ([]byte, error) {
	s = strings.ReplaceAll(s, "0x", "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == ':' || r == ',' {
			return -1
		}
		return r
	}, s)
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("this is not hexadecimal: %w", err)
	}
	return b, nil
}

// parseBase64 reads either alphabet, with or without padding.
func parseBase64(s string) ([]byte, error) {
	s = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(s)
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("this is not base64: %w", err)
	}
	return b, nil
}

// parseWord takes the first word of a line, or a JSON string, and gives the rest.
func parseWord(s string) (word, rest string, err error) {
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	if !strings.HasPrefix(s, `"`) {
		at := strings.IndexFunc(s, unicode.IsSpace)
		if at < 0 {
			at = len(s)
		}
		return s[:at], s[at:], nil
	}
	d := json.NewDecoder(strings.NewReader(s))
	if err := d.Decode(&word); err != nil {
		return "", "", fmt.Errorf("%s is not a JSON string: %w", s, err)
	}
	return word, s[d.InputOffset():], nil
}

// parseArguments reads JSON values one after the other and gives them as an array. A word that is no JSON is a string, so that
// hello need not be quoted; what begins as an object, an array or a string has to be one.
func parseArguments(s string) ([]byte, error) {
	out := []byte{'['}
	for {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
		if s == "" {
			return append(out, ']'), nil
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		var value json.RawMessage
		d := json.NewDecoder(strings.NewReader(s))
		err := d.Decode(&value)
		end := int(d.InputOffset())
		// 12abc is not 12 and abc.
		if err == nil && (end == len(s) || strings.ContainsAny(s[:1], `{["`) || unicode.IsSpace(rune(s[end]))) {
			var compact bytes.Buffer
			if err := json.Compact(&compact, value); err != nil {
				return nil, err
			}
			out, s = append(out, compact.Bytes()...), s[end:]
			continue
		}
		if strings.ContainsAny(s[:1], `{["`) {
			return nil, fmt.Errorf("this is not JSON: %w", err)
		}
		word, rest, _ := parseWord(s)
		array := quoted(word)
		out, s = append(out, array[1:len(array)-1]...), rest
	}
}

// quoted gives a JSON array of one string.
func quoted(text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode([]string{text}) // no string fails
	return bytes.TrimSpace(b.Bytes())
}
