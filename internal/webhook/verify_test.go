package webhook_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/webhook"
)

// other is a second secret, of the bytes 32 to 63.
const other = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="

// What Python's hmac makes of msg_1.1700000000.{"events":[]}, by secret and by other.
const (
	bySecret = "v1,Xy7Y7sHV66dZGtmoJYrWBAopXhtFAsYfvTr8jp+dIqU="
	byOther  = "v1,YlDCI7yqaPGIAV5p4HIztCu1roXtap5/wItJSWfiv7w="
)

func TestVerify(t *testing.T) {
	sent := time.Unix(1700000000, 0)
	type change func(http.Header)
	set := func(name, value string) change { return func(h http.Header) { h.Set(name, value) } }
	for name, test := range map[string]struct {
		change    change
		body      string
		secrets   []string
		tolerance time.Duration
		now       time.Time
		want      error
	}{
		"as it is":                 {},
		"five minutes old":         {now: sent.Add(5 * time.Minute)},
		"five minutes early":       {now: sent.Add(-5 * time.Minute)},
		"older":                    {now: sent.Add(5*time.Minute + time.Second), want: webhook.ErrTimestamp},
		"earlier":                  {now: sent.Add(-5*time.Minute - time.Second), want: webhook.ErrTimestamp},
		"a longer tolerance":       {now: sent.Add(time.Hour), tolerance: time.Hour},
		"a year 0 clock":           {now: time.Time{}.Add(time.Second), want: webhook.ErrTimestamp},
		"another body":             {body: `{"events":[] }`, want: webhook.ErrSignature},
		"another secret":           {secrets: []string{other}, want: webhook.ErrSignature},
		"one of two secrets":       {secrets: []string{other, secret}},
		"two signatures":           {change: set(webhook.HeaderSignature, byOther+" "+bySecret)},
		"the other of them":        {change: set(webhook.HeaderSignature, byOther+" "+bySecret), secrets: []string{other}},
		"another version besides":  {change: set(webhook.HeaderSignature, "v1a,AAAA v2 "+bySecret)},
		"another version":          {change: set(webhook.HeaderSignature, "v2"+bySecret[2:]), want: webhook.ErrSignature},
		"no version":               {change: set(webhook.HeaderSignature, bySecret[3:]), want: webhook.ErrSignature},
		"no base64":                {change: set(webhook.HeaderSignature, "v1,!"), want: webhook.ErrSignature},
		"a signature of nothing":   {change: set(webhook.HeaderSignature, "v1,"), want: webhook.ErrSignature},
		"cut short":                {change: set(webhook.HeaderSignature, bySecret[:len(bySecret)-4]), want: webhook.ErrSignature},
		"after too many others":    {change: set(webhook.HeaderSignature, strings.Repeat("v1,AAAA ", 16)+bySecret), want: webhook.ErrSignature},
		"another id":               {change: set(webhook.HeaderID, "msg_2"), want: webhook.ErrSignature},
		"another timestamp":        {change: set(webhook.HeaderTimestamp, "1700000001"), want: webhook.ErrSignature},
		"the timestamp otherwise":  {change: set(webhook.HeaderTimestamp, "01700000000"), want: webhook.ErrSignature},
		"no id":                    {change: func(h http.Header) { h.Del(webhook.HeaderID) }, want: webhook.ErrHeaders},
		"an empty id":              {change: set(webhook.HeaderID, ""), want: webhook.ErrHeaders},
		"no timestamp":             {change: func(h http.Header) { h.Del(webhook.HeaderTimestamp) }, want: webhook.ErrHeaders},
		"no signature":             {change: func(h http.Header) { h.Del(webhook.HeaderSignature) }, want: webhook.ErrHeaders},
		"two timestamps":           {change: func(h http.Header) { h.Add(webhook.HeaderTimestamp, "1700000000") }, want: webhook.ErrHeaders},
		"a signed timestamp":       {change: set(webhook.HeaderTimestamp, "+1700000000"), want: webhook.ErrHeaders},
		"a negative timestamp":     {change: set(webhook.HeaderTimestamp, "-1700000000"), want: webhook.ErrHeaders},
		"a timestamp with a point": {change: set(webhook.HeaderTimestamp, "1700000000.0"), want: webhook.ErrHeaders},
		"a timestamp of 2^63":      {change: set(webhook.HeaderTimestamp, "9223372036854775808"), want: webhook.ErrHeaders},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			h.Set(webhook.HeaderID, "msg_1")
			h.Set(webhook.HeaderTimestamp, "1700000000")
			h.Set(webhook.HeaderSignature, bySecret)
			if test.change != nil {
				test.change(h)
			}
			body, now := `{"events":[]}`, sent
			if test.body != "" {
				body = test.body
			}
			if !test.now.IsZero() {
				now = test.now
			}
			secrets := test.secrets
			if secrets == nil {
				secrets = []string{secret}
			}
			if err := webhook.Verify(h, []byte(body), secrets, test.tolerance, now); err != test.want {
				t.Errorf("Verify: %v, want %v", err, test.want)
			}
		})
	}
}

// The example that Standard Webhooks' own libraries are tested with.
func TestVerifyStandard(t *testing.T) {
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	err := webhook.Verify(h, []byte(`{"test": 2432232314}`), []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, 0, time.Unix(1614265330, 0))
	if err != nil {
		t.Error(err)
	}
}

func TestSecrets(t *testing.T) {
	made := webhook.NewSecret()
	if made == webhook.NewSecret() {
		t.Error("two secrets are the same")
	}
	encode := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, test := range []struct {
		secrets []string
		ok      bool
	}{
		{[]string{made}, true},
		{[]string{encode(24), encode(64)}, true},
		{[]string{encode(23)}, false},
		{[]string{encode(65)}, false},
		{[]string{secret, secret[6:]}, false},
		{[]string{"whsec_hunter2hunter2hunter2hunter2!"}, false},
		{[]string{""}, false},
		{nil, false},
		{[]string{made, made, made, made, made}, false},
	} {
		err := webhook.Verify(http.Header{}, nil, test.secrets, 0, time.Now())
		if errors.Is(err, webhook.ErrHeaders) != test.ok {
			t.Errorf("%q: %v", test.secrets, err)
		}
		if !test.ok && err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "AAAA")) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

// Nothing that somebody can make up without the secret is accepted.
func FuzzVerify(f *testing.F) {
	f.Add("msg_1", "1700000000", bySecret, []byte("{}"))
	f.Add("msg_1.1700000000", "", "v1, v1,AAAA", []byte(`{"events":[]}`))
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := http.Header{webhook.HeaderID: {id}, webhook.HeaderTimestamp: {timestamp}, webhook.HeaderSignature: {signature}}
		if err := webhook.Verify(h, body, []string{secret}, 0, time.Unix(1700000000, 0)); err == nil &&
			(id != "msg_1" || timestamp != "1700000000" || string(body) != `{"events":[]}`) {
			t.Errorf("accepted: %q %q %q %q", id, timestamp, signature, body)
		}
	})
}
