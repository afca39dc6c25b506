package handshake

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// scan returns the extensions in a header in a canonical form, or the error.
func scan(lines []string) (extensions []string, err *Error) {
	s := extensionScanner{lines: lines}
	for {
		e, ok, err := s.next()
		if !ok {
			return extensions, err
		}
		text := e.name
		for _, p := range e.params {
			text += ";" + p.name
			if p.hasValue {
				text += "=" + p.value
			}
		}
		extensions = append(extensions, text)
	}
}

func TestExtensionScanner(t *testing.T) {
	const (
		malformed = http.StatusBadRequest
		tooLarge  = http.StatusRequestHeaderFieldsTooLarge
	)
	tests := []struct {
		name   string
		lines  []string
		want   []string
		status int
	}{
		{"no header", nil, nil, 0},
		{"one", []string{"a"}, []string{"a"}, 0},
		// The examples of RFC 6455 9.1.
		{"the RFC's one", []string{"deflate-stream"}, []string{"deflate-stream"}, 0},
		{"the RFC's three", []string{`mux; max-channels=4; flow-control, deflate-stream`}, []string{"mux;max-channels=4;flow-control", "deflate-stream"}, 0},
		{"the RFC's private", []string{"private-extension"}, []string{"private-extension"}, 0},
		{"two lines are a list", []string{"a;b=1", "c"}, []string{"a;b=1", "c"}, 0},
		{"quoted value", []string{`a;b="10"`}, []string{"a;b=10"}, 0},
		{"quoted value with escapes", []string{`a;b="\1\0"`}, []string{"a;b=10"}, 0},
		{"comma inside no quote", []string{`a;b="1",c`}, []string{"a;b=1", "c"}, 0},
		{"white space everywhere", []string{" \ta\t ;\t b = \"1\" ; c =\t2 ,\td\t"}, []string{"a;b=1;c=2", "d"}, 0},
		{"empty elements", []string{",, a,,b ,", "", " , "}, []string{"a", "b"}, 0},
		{"same twice", []string{"a;b;b, a"}, []string{"a;b;b", "a"}, 0},
		{"every token character", []string{"!#$%&'*+-.^_`|~09azAZ;x"}, []string{"!#$%&'*+-.^_`|~09azAZ;x"}, 0},

		{"empty", []string{""}, nil, malformed},
		{"white space", []string{" \t "}, nil, malformed},
		{"commas", []string{",,", ","}, nil, malformed},
		{"semicolon first", []string{";a"}, nil, malformed},
		{"trailing semicolon", []string{"a;"}, nil, malformed},
		{"double semicolon", []string{"a;;b"}, nil, malformed},
		{"no value", []string{"a;b="}, nil, malformed},
		{"no value, more", []string{"a;b=,c"}, nil, malformed},
		{"no name", []string{"a;=b"}, nil, malformed},
		{"value of the extension", []string{"a=b"}, nil, malformed},
		{"two words", []string{"a b"}, nil, malformed},
		{"two words in a parameter", []string{"a;b c"}, nil, malformed},
		{"text after a quoted value", []string{`a;b="c"d`}, nil, malformed},
		{"quoted name", []string{`"a"`}, nil, malformed},
		{"quoted parameter name", []string{`a;"b"`}, nil, malformed},
		{"slash", []string{"a/b"}, nil, malformed},
		{"non-ASCII", []string{"\u00e9"}, nil, malformed},
		{"CR LF", []string{"a\r\nb"}, nil, malformed},
		// RFC 6455 9.1: the value after quoted-string unescaping MUST conform to the 'token' ABNF.
		{"empty quoted value", []string{`a;b=""`}, nil, malformed},
		{"quoted space", []string{`a;b="c d"`}, nil, malformed},
		{"quoted comma", []string{`a;b="c,d"`}, nil, malformed},
		{"escaped quote", []string{`a;b="c\"d"`}, nil, malformed},
		{"escaped backslash", []string{`a;b="c\\d"`}, nil, malformed},
		{"unclosed quote", []string{`a;b="c`}, nil, malformed},
		{"lone quote", []string{`a;b="`}, nil, malformed},
		{"lone backslash", []string{`a;b="\`}, nil, malformed},
		{"escaped end", []string{`a;b="\"`}, nil, malformed},
		{"quote over two lines", []string{`a;b="c`, `d"`}, nil, malformed},
		{"good, then malformed", []string{"a, b;"}, []string{"a"}, malformed},

		{"most extensions", []string{strings.Repeat("a,", maxExtensions)}, repeat("a", maxExtensions), 0},
		{"too many extensions", []string{strings.Repeat("a,", maxExtensions+1)}, repeat("a", maxExtensions), tooLarge},
		{"most parameters", []string{"a" + strings.Repeat(";b", maxExtensionParams)}, []string{"a" + strings.Repeat(";b", maxExtensionParams)}, 0},
		{"too many parameters", []string{"a" + strings.Repeat(";b", maxExtensionParams+1)}, nil, tooLarge},
		{"most bytes", []string{"a" + strings.Repeat(" ", maxExtensionBytes-2)}, []string{"a"}, 0},
		{"too many bytes", []string{"a" + strings.Repeat(" ", maxExtensionBytes-1)}, nil, tooLarge},
		{"too many empty lines", make([]string, maxExtensionBytes+1), nil, tooLarge},
		{"10k offers", []string{strings.Repeat("permessage-deflate,", 10000)}, nil, tooLarge},
		{"64 KB of spaces", []string{strings.Repeat(" ", 64<<10)}, nil, tooLarge},
		{"unclosed quote of backslashes", []string{`a;b="` + strings.Repeat(`\c`, 32<<10)}, nil, tooLarge},
		{"short unclosed quote of backslashes", []string{`a;b="` + strings.Repeat(`\c`, 2000)}, nil, malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, refused := scan(tt.lines)
			var err error
			if refused != nil {
				err = refused
			}
			wantStatus(t, err, tt.status, "Sec-WebSocket-Extensions header")
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func repeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

// Whatever a header is cut to, it parses or is an error: nothing runs past the end.
func TestExtensionScannerCut(t *testing.T) {
	const header = `mux; max="\1\0" ; flow , permessage-deflate;client_max_window_bits; server_max_window_bits = "10",,x`
	for i := range len(header) {
		for j := i; j <= len(header); j++ {
			scan([]string{header[i:j]})
			scan([]string{header[i:j], header[j:]})
		}
	}
}

func TestExtensionErrorPosition(t *testing.T) {
	_, err := scan([]string{"a, b;="})
	if err == nil || !strings.Contains(err.Reason, fmt.Sprintf("byte %d", 5)) {
		t.Errorf("%v", err)
	}
}
