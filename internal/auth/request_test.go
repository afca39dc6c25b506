package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/internal/auth"
)

func TestCredentialsOfRequest(t *testing.T) {
	const key = "baro_id_AAAAAAAAAAAAAAAAAAAAAAAAAA"
	tests := []struct {
		target     string
		headers    []string // name: value
		token, key string   // what is found
		errT, errK error
	}{
		{"/", nil, "", "", auth.ErrMissing, auth.ErrMissing},
		{"/", []string{"Authorization: Bearer a.b.c"}, "a.b.c", "", nil, auth.ErrMissing},
		{"/", []string{"Authorization: bEARER  a.b.c"}, "a.b.c", "", nil, auth.ErrMissing},
		{"/?access_token=a.b.c", nil, "a.b.c", "", nil, auth.ErrMissing},
		{"/?x=1&access%5Ftoken=a%2Eb.c&y=%zz;", nil, "a.b.c", "", nil, auth.ErrMissing},
		{"/?token=a.b.c", nil, "", "", auth.ErrMissing, auth.ErrMissing},
		{"/", []string{"Authorization: Basic dTpw"}, "", "", auth.ErrMissing, auth.ErrMissing},
		{"/", []string{"Authorization: Bearer"}, "", "", auth.ErrMalformed, auth.ErrMalformed},
		{"/", []string{"Authorization: Bearer "}, "", "", auth.ErrMalformed, auth.ErrMalformed},
		{"/", []string{"Authorization: Bearer a b"}, "", "", auth.ErrMalformed, auth.ErrMalformed},
		{"/", []string{"Authorization: Bearer a.b.c", "Authorization: Bearer a.b.c"}, "", "", auth.ErrMalformed, auth.ErrMalformed},
		{"/?access_token=a.b.c", []string{"Authorization: Bearer a.b.c"}, "", "", auth.ErrMalformed, auth.ErrMissing},
		{"/?access_token=a.b.c&access_token=", nil, "", "", auth.ErrMalformed, auth.ErrMissing},
		{"/?access_token=", nil, "", "", auth.ErrMalformed, auth.ErrMissing},
		{"/?access_token=%zz", nil, "", "", auth.ErrMalformed, auth.ErrMissing},
		{"/", []string{"Authorization: Bearer " + key}, "", key, auth.ErrMissing, nil},
		{"/", []string{"X-API-Key: " + key}, "", key, auth.ErrMissing, nil},
		{"/", []string{"X-API-Key: " + key, "X-API-Key: " + key}, "", "", auth.ErrMissing, auth.ErrMalformed},
		{"/", []string{"X-API-Key: " + key, "Authorization: Bearer " + key}, "", "", auth.ErrMissing, auth.ErrMalformed},
		{"/?access_token=x&api_key=" + key, nil, "x", "", nil, auth.ErrMissing},
		{"/", []string{"X-API-Key: " + key, "Authorization: Bearer a.b.c"}, "a.b.c", key, nil, nil},
	}
	for _, test := range tests {
		r := httptest.NewRequest(http.MethodGet, test.target, nil)
		for _, h := range test.headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		token, err := auth.TokenOf(r)
		if token != test.token || !errors.Is(err, test.errT) {
			t.Errorf("%s %q: the token %q, %v", test.target, test.headers, token, err)
		}
		found, err := auth.KeyOf(r)
		if found != test.key || !errors.Is(err, test.errK) {
			t.Errorf("%s %q: the key %q, %v", test.target, test.headers, found, err)
		}
	}
}

func TestRedact(t *testing.T) {
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
	const key = "baro_id_AAAAAAAAAAAAAAAAAAAAAAAAAA"
	tests := []struct{ in, out string }{
		{"", ""},
		{"/c/news?after=now", "/c/news?after=now"},
		{"/c/news?access_token=" + jwt + "&after=now", "/c/news?access_token=REDACTED&after=now"},
		{"/c/a?access_token=x#access_token=y", "/c/a?access_token=REDACTED#access_token=REDACTED"},
		{"/c/a?Access_Token=x", "/c/a?Access_Token=REDACTED"},
		{"/c/a?access%5ftoken=x", "/c/a?access%5ftoken=REDACTED"},
		{"/c/a?access%255ftoken=x", "/c/a?access%255ftoken=REDACTED"},
		{"/c/a?a=1;token=x;b=2", "/c/a?a=1;token=REDACTED;b=2"},
		{"/c/a?a=1?token=x", "/c/a?a=1?token=REDACTED"},
		{"/c/a?token=x=y", "/c/a?token=REDACTED"},
		{"/c/a?token=", "/c/a?token="},
		{"/c/a?token", "/c/a?token"},
		{"/c/a?broken=" + jwt, "/c/a?broken=REDACTED"},
		{"/c/a?" + jwt, "/c/a?REDACTED"},
		{"/c/a?x=" + key, "/c/a?x=REDACTED"},
		{"/c/a?x=Bearer%20abc", "/c/a?x=REDACTED"},
		{"/c/" + jwt + "/x", "/c/REDACTED/x"},
		{"/c/baro_news", "/c/baro_news"},
		{"https://user:pass@host/p?token=x&&", "https://user:REDACTED@host/p?token=REDACTED&&"},
		{"wss://host:8000/ws?access_token=%zz%", "wss://host:8000/ws?access_token=REDACTED"},
		{"/c/a?tokens=5&keyboard=us", "/c/a?tokens=5&keyboard=us"},
		{"%zz?token=\x00\r\n", "%zz?token=REDACTED"},
	}
	for _, test := range tests {
		if out := auth.Redact(test.in); out != test.out {
			t.Errorf("%q: %q, want %q", test.in, out, test.out)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("https://u:p@h/c/x?a=", "&b=2#c")
	f.Add("/c/a?b;", "?#&;")
	f.Fuzz(func(t *testing.T, before, after string) {
		const hidden = "Zq9secretZq9"
		out := auth.Redact(before + "&access_token=" + hidden + "&" + after)
		if strings.Contains(out, hidden) && !strings.Contains(before+after, hidden) {
			t.Errorf("%q", out)
		}
	})
}
