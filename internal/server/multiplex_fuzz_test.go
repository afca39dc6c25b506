package server

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// Frames that make no sense are answered, and the connection goes on.
func TestMultiplexFrames(t *testing.T) {
	s := start(t, Config{})
	c := dialSocket(t, s, "/ws", nil)
	readSocket(t, c) // connected
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, test := range []struct{ sent, want string }{
		{``, `{"error":{"code":"invalid_frame","number":1500,`},
		{`{`, `{"error":{"code":"invalid_frame",`},
		{`null`, `{"error":{"code":"unknown_command",`},
		{`7`, `{"error":{"code":"invalid_frame",`},
		{`[]`, `{"error":{"code":"invalid_frame","number":1500,"message":"a frame is one JSON object, and not of the type array"}}`},
		{`[{"id":1,"ping":{}}]`, `{"error":{"code":"invalid_frame",`},
		{`{"id":1,"ping":{}} {}`, `{"error":{"code":"invalid_frame",`},
		{`{"id":1,"ping":{}}`, `{"id":1,"ok":{}}`},
		{`{"id":1}`, `{"id":1,"error":{"code":"unknown_command",`},
		{`{"id":2,"frobnicate":{}}`, `{"id":2,"error":{"code":"unknown_command",`},
		{`{"id":2,"ping":{},"unknown":"member"}`, `{"id":2,"ok":{}}`},
		{`{"id":3,"ping":null}`, `{"id":3,"error":{"code":"unknown_command",`},
		{`{"id":4,"ping":{},"subscribe":{"channel":"a"}}`, `{"id":4,"error":{"code":"invalid_frame",`},
		{`{"id":5,"subscribe":{"channel":7}}`, `{"id":5,"error":{"code":"invalid_frame",`},
		{`{"id":5,"subscribe":"a"}`, `{"id":5,"error":{"code":"invalid_frame",`},
		{`{"id":"6","ping":{}}`, `{"error":{"code":"invalid_frame",`},
		{`{"id":0,"ping":{}}`, `{"error":{"code":"invalid_frame","number":1500,"message":"an id is a number from 1 to 2^53-1"`},
		{`{"id":-1,"ping":{}}`, `{"error":{"code":"invalid_frame",`},
		{`{"id":1.5,"ping":{}}`, `{"error":{"code":"invalid_frame",`},
		{`{"id":9007199254740991,"ping":{}}`, `{"id":9007199254740991,"ok":{}}`},
		{`{"id":9007199254740992,"ping":{}}`, `{"error":{"code":"invalid_frame",`},
		{`{"id":99999999999999999999,"ping":{}}`, `{"error":{"code":"invalid_frame",`},
		{`{"id":7,"publish":{"channel":"a"}}`, `{"id":7,"error":{"code":"invalid_data",`},
		{`{"id":7,"publish":{"channel":"a","data":"x","base64":"eA=="}}`, `{"id":7,"error":{"code":"invalid_data",`},
		{`{"id":7,"publish":{"channel":"a","base64":"?"}}`, `{"id":7,"error":{"code":"invalid_data",`},
		{`{"id":7,"publish":{"channel":"a","data":"x","event":"baro.reset"}}`, `{"id":7,"error":{"code":"invalid_event",`},
		{`{"id":7,"publish":{"channel":"a","data":"x","key":"` + strings.Repeat("k", 129) + `"}}`, `{"id":7,"error":{"code":"invalid_key",`},
		{`{"id":8,"unsubscribe":{"channel":"a"}}`, `{"id":8,"error":{"code":"not_subscribed","number":1504,`},
		{`{"id":8,"answer":{"call":"none"}}`, `{"id":8,"error":{"code":"not_found",`},
		{`{"id":8,"refresh":{}}`, `{"id":8,"error":{"code":"invalid_request",`},
		{`{"id":9,"rpc":{"method":"x","data":` + deep(62) + `}}`, `{"id":9,"error":{"code":"not_offered",`},
		{`{"id":9,"rpc":{"method":"x","data":` + deep(63) + `}}`, `{"error":{"code":"invalid_frame",`},
		{deep(100_000), `{"error":{"code":"invalid_frame",`},
		{`{"ping":{}}`, ""}, // nobody wants an answer
		{`{"subscribe":{"channel":""}}`, `{"error":{"code":"invalid_name",`},
		{`{"id":10,"history":{"channel":"a","limit":-5,"bytes":-5}}`, `{"id":10,"ok":{"messages":[],`},
		{`{"id":10,"presence":{"channel":"a","limit":99999999}}`, `{"id":10,"ok":{"users":0,`},
	} {
		if err := c.Write(t.Context(), ws.Text, []byte(test.sent)); err != nil {
			t.Fatal(err)
		}
		if test.want == "" {
			continue
		}
		if m := readSocket(t, c); !strings.HasPrefix(m.String(), test.want) {
			t.Errorf("%.100s: %.300s, want %s", test.sent, m.Data, test.want)
		}
	}
	if err := c.Write(t.Context(), ws.Binary, []byte(`{"id":1,"ping":{}}`)); err != nil {
		t.Fatal(err)
	}
	if m := readSocket(t, c); !strings.Contains(m.String(), "invalid_frame") {
		t.Errorf("binary: %s", m.Data)
	}
	if err := c.Write(t.Context(), ws.Text, []byte(`{"publish":{"data":"`+strings.Repeat("x", 2<<20)+`"}}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusMessageTooBig {
		t.Error("2 MiB:", err)
	}
}

// What is published arrives as it was, whichever way it was said.
func TestMultiplexContents(t *testing.T) {
	s := start(t, Config{})
	k := mustTalk(t, s, "ws", "")
	k.must("subscribe", `{"channel":"a"}`, nil)
	for _, test := range []struct{ said, want string }{
		{`"data":""`, `"data":""`},
		{`"data":"\u0000\u2028\"\\"`, `"data":"\u0000\u2028\"\\"`},
		{`"base64":"AP8="`, `"base64":"AP8="`},
		{`"base64":""`, `"base64":""`},
		{`"json":{"n":[1.50,null]}`, `"data":"{\"n\":[1.50,null]}"`},
		{`"json":null`, `"data":"null"`},
		{`"data":"\ud83d\ude42"`, `"data":"🙂"`},
	} {
		k.must("publish", `{"channel":"a",`+test.said+`}`, nil)
		k.expect("message", test.want)
	}
}

// Half of a surrogate pair, which JavaScript says where a character was cut in two, is refused and not replaced.
func TestHalfACharacter(t *testing.T) {
	s, as := startAPI(t, Config{Dev: true})
	overBoth(t, func(t *testing.T, transport string) {
		k := mustTalk(t, s, transport, "")
		code := map[string]string{"ws": "invalid_frame", "socket.io": "invalid_data"}[transport]
		k.refused(code, "publish", `{"channel":"a","data":"\ud83d"}`)
		k.refused(code, "publish", `{"channel":"a","data":"x\ude42 "}`)
		if transport == "ws" {
			k.refused(code, "publish", `{"channel":"a","json":["\ud83d"]}`)
		}
	})
	c := dialSocket(t, s, "/c/a", &ws.DialOptions{Subprotocols: []string{subprotocolJSON}})
	if err := c.Write(t.Context(), ws.Text, []byte(`{"data":"\ud83d"}`)); err != nil {
		t.Fatal(err)
	}
	if m := readSocket(t, c); !strings.Contains(string(m.Data), "surrogate") {
		t.Errorf("%s", m.Data)
	}
	as("all").refused(400, "invalid_body", "publish", `{"channel":"a","data":"\ud83d"}`)
	as("all").refused(400, "invalid_body", "publish", `{"channel":"\ud83d","data":"x"}`)
	as("all").refused(400, "invalid_body", "call", `{"user":"a","method":"m","data":{"\ude42":1}}`)
	if i, _ := s.Hub().Info("a"); i.Position.Offset != 0 {
		t.Errorf("%d messages were published", i.Position.Offset)
	}
}

// What is nested too deep for many a reader goes on to nobody, over Socket.IO either; and whoever calls hears at once of an answer that is
// not taken.
func TestDeepAndLongOverSocketIO(t *testing.T) {
	config := withTokens(t)
	config.Dev = true
	s, as := startAPI(t, config)
	k := mustTalk(t, s, "socket.io", token(t, "ana", time.Hour, nil))
	deep := strings.Repeat("[", 65) + strings.Repeat("]", 65)
	k.refused("invalid_data", "rpc", `{"method":"x","data":`+deep+`}`)
	k.refused("not_offered", "rpc", `{"method":"x","data":`+deep[1:129]+`}`)
	k.refused("invalid_data", "publish", `{"channel":"open/a","data":`+deep+`}`)
	k.must("publish", `{"channel":"open/a","data":`+deep[1:129]+`}`, nil)
	for code, said := range map[string]string{"invalid_answer": deep, "too_large": `"` + strings.Repeat("x", 256<<10) + `"`} {
		answered := make(chan string, 1)
		go func() {
			_, text := as("all").ask("call", `{"user":"ana","method":"m","timeout":"20s"}`)
			answered <- text
		}()
		k.reply(k.expect("call"), said)
		if text := <-answered; !strings.Contains(text, `"`+code+`"`) {
			t.Errorf("%s: %.300s", code, text)
		}
	}
}

// FuzzFrame has whatever comes be read: it is answered, or understood, and never deeper or longer than allowed.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"subscribe":{"channel":"news","after":"oldest","presence":true}}`,
		`{"id":2,"publish":{"channel":"news","json":{"a":[1,"]"]},"key":"k"}}`,
		`{"answer":{"call":"x","error":{"code":"c","message":"m"}}}`,
		`{"id":9007199254740992,"ping":{}}`, `[[[["\"]"`, `{"id":3}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := parseFrame(ws.Message{Type: ws.Text, Data: data})
		if frame.ID > maxCommandID {
			t.Errorf("id %d", frame.ID)
		}
		if err != nil {
			if p := toProblem(err); p.Number != 1500 || p.Message == "" {
				t.Errorf("%+v", p)
			}
			return
		}
		if !json.Valid(data) || nesting(t, data) > maxDepth {
			t.Errorf("%s was understood", data)
		}
		if c := frame.Publish; c != nil {
			if m, err := c.message(); err == nil && len(m.Data) > len(data) {
				t.Errorf("%d bytes of %d", len(m.Data), len(data))
			}
		}
	})
}

// nesting is how deep JSON is, by the decoder's own account.
func nesting(t *testing.T, data []byte) (deepest int) {
	t.Helper()
	depth := 0
	for d := json.NewDecoder(strings.NewReader(string(data))); ; {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}
