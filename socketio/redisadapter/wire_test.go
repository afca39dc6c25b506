package redisadapter_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/socketio"
	"baro.dev/socketio/redisadapter"
)

// spy sees what passes through Redis.
type spy struct {
	t      *testing.T
	client redis.UniversalClient
	seen   <-chan *redis.Message
}

func watch(t *testing.T, s *brokers.Server) *spy {
	t.Helper()
	client := connect(t, s)
	all := client.PSubscribe(t.Context(), "*")
	t.Cleanup(func() { _ = all.Close() })
	if _, err := all.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &spy{t, client, all.Channel()}
}

func (s *spy) next() *redis.Message {
	s.t.Helper()
	return testkit.Within(s.t, "a message in Redis", s.seen)
}

func (s *spy) publish(channel, message string) {
	s.t.Helper()
	if err := s.client.Publish(context.Background(), channel, message).Err(); err != nil {
		s.t.Fatal(err)
	}
	for s.next().Payload != message {
		continue // an answer to an earlier one
	}
}

func bytesOf(t testing.TB, text string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What servers of Node have been seen to send is understood, and so are older forms, and requests in MessagePack.
func TestUnderstood(t *testing.T) {
	s := brokers.Redis(t)
	redis := watch(t, s)
	n := start(t, "a", connect(t, s), nil)
	together(t, []*node{n})

	// Broadcasts: to all; to a room, on its channel; to two rooms but one, volatile and not compressed; binary; Date, undefined, float and int64;
	// of the emitter; without nsp; to a room whose name is a number.
	for _, m := range []struct{ channel, message, want string }{
		{"socket.io#/#", "93a665336965473983a47479706502a46461746194a2657601a13281a161c3a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380", `2["ev",1,"2",{"a":true}]`},
		{"socket.io#/#all#", "93a665336965473983a47479706502a46461746192a26576a178a36e7370a12f83a5726f6f6d7391a3616c6ca665786365707490a5666c61677380", `2["ev","x"]`},
		{"socket.io#/#", "93a665336965473983a47479706502a46461746192a26576c0a36e7370a12f83a5726f6f6d7392a5726f6f6d31a3616c6ca665786365707491a5726f6f6d39a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2", `2["ev",null]`},
		{"socket.io#/#", "93a665336965473983a47479706502a46461746192a362696ec403010203a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380", `51-["bin",{"_placeholder":true,"num":0}]`},
		{"", "", "b:\x01\x02\x03"},
		{"socket.io#/#", "93a665336965473983a47479706502a46461746196a46d697363d7ff1d5353006553f100c0cb3ff8000000000000cf0000010000000000ffa36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380", `2["misc","2023-11-14T22:13:20.123Z",null,1.5,1099511627776,-1]`},
		{"socket.io#/#all#", "93a7656d697474657283a47479706502a46461746192a26576ac66726f6d20656d6974746572a36e7370a12f83a5726f6f6d7391a3616c6ca5666c61677380a665786365707490", `2["ev","from emitter"]`},
		{"socket.io#/#", "93a7656d697474657282a47479706502a46461746191a26576 83a5726f6f6d7390a665786365707490a5666c61677380", `2["ev"]`},
	} {
		if m.channel != "" {
			redis.publish(m.channel, bytesOf(t, m.message))
		}
		n.expect(m.want)
	}
	redis.publish("socket.io-request#/#", `{"type":2,"opts":{"rooms":["all"],"except":[]},"rooms":[7]}`)
	redis.publish("socket.io#/#7#", bytesOf(t, "93a665336965473983a47479706502a46461746191a137a36e7370a12f83a5726f6f6d739107a665786365707490a5666c61677380"))
	n.expect(`2["7"]`)

	// Requests.
	answered := func(request, want string) {
		t.Helper()
		redis.publish("socket.io-request#/#", request)
		got := redis.next()
		if got.Channel != "socket.io-response#/#" || !sameJSON(got.Payload, want) {
			t.Errorf("%s: %q on %s, want %q", request, got.Payload, got.Channel, want)
		}
	}
	answered(`{"uid":"nodeAA","requestId":"r1","type":0,"rooms":["all"]}`, `{"requestId":"r1","sockets":["`+n.id+`"]}`)
	answered(`{"uid":"nodeAA","requestId":"r2","type":0,"rooms":["nobody"]}`, `{"requestId":"r2","sockets":[]}`)
	answered(`{"requestId":"r3","type":2,"sid":"`+n.id+`","room":"old"}`, `{"requestId":"r3"}`)
	answered(`{"uid":"nodeAA","requestId":"r4","type":0,"rooms":["old"]}`, `{"requestId":"r4","sockets":["`+n.id+`"]}`)
	answered(`{"requestId":"r5","type":3,"sid":"`+n.id+`","room":"old"}`, `{"requestId":"r5"}`)
	answered(`{"uid":"nodeAA","requestId":"r6","type":0,"rooms":["old"]}`, `{"requestId":"r6","sockets":[]}`)
	answered(`{"uid":"nodeAA","requestId":"r7","type":6,"data":["name?"]}`, `{"type":6,"requestId":"r7","data":"a"}`)
	answered(bytesOf(t, "84 a3756964 a6 6e6f64654141 a9726571756573744964 a2 7238 a474797065 06 a464617461 91 a5 6e616d653f"), `{"type":6,"requestId":"r8","data":"a"}`)

	// A broadcast to be acknowledged: first the number of clients, then what each says.
	answered(bytesOf(t, "85a3756964a6653369654739a9726571756573744964a6373431755543a47479706507a67061636b657483a47479706502a46461746192a17129a36e7370a12f"+
		"a46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574cd7530"), `{"type":8,"requestId":"741uUC","clientCount":1}`)
	n.answer(`["q",41]`, `[42,"more"]`)
	if got := redis.next().Payload; got != bytesOf(t, "83a47479706509a9726571756573744964a6373431755543a67061636b65742a") {
		t.Errorf("acknowledged with %x", got)
	}
	if got := n.adapter().Stats().Ignored; got != 0 {
		t.Errorf("%d messages ignored", got)
	}
	answered(`{"requestId":"r9","type":4,"sid":"`+n.id+`","close":false}`, `{"requestId":"r9"}`)
	n.expect("1")
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

// What goes to Redis is what a server of Node sends.
func TestSent(t *testing.T) {
	s := brokers.Redis(t)
	redis := watch(t, s)
	n := start(t, "a", connect(t, s), nil)
	together(t, []*node{n})
	request := func(want string) {
		t.Helper()
		got := redis.next()
		var m map[string]any
		if err := json.Unmarshal([]byte(got.Payload), &m); err != nil {
			t.Fatal(err)
		}
		if uid, ok := m["uid"].(string); !ok || len(uid) != 6 {
			t.Errorf("uid %v", m["uid"])
		}
		delete(m, "uid")
		rest, _ := json.Marshal(m)
		if got.Channel != "socket.io-request#/#" || !sameJSON(string(rest), want) {
			t.Errorf("%s on %s, want %s", rest, got.Channel, want)
		}
	}
	n.To("room1").SocketsJoin("room2")
	request(`{"type":2,"opts":{"rooms":["room1"],"except":[]},"rooms":["room2"]}`)
	n.Except("room1").SocketsLeave()
	request(`{"type":3,"opts":{"rooms":[],"except":["room1"]},"rooms":[]}`)
	n.To("room1").DisconnectSockets(true)
	request(`{"type":4,"opts":{"rooms":["room1"],"except":[]},"close":true}`)
	_ = n.ServerSideEmit("hello", "w", 1)
	request(`{"type":6,"data":["hello","w",1]}`)

	for _, b := range []struct{ channel, want string }{
		{"socket.io#/#room1#", "83a47479706502a36e7370a12fa46461746192a26576a17883a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380"},
		{"socket.io#/#", "83a47479706502a36e7370a12fa46461746192a26576c083a5726f6f6d7392a5726f6f6d31a4626f7468a665786365707491a5726f6f6d39a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2"},
	} {
		if b.channel == "socket.io#/#" {
			_ = n.To("room1", "both").Except("room9").Volatile().Compress(false).Emit("ev", nil)
		} else {
			_ = n.To("room1").Emit("ev", "x")
		}
		got := redis.next()
		if uid := got.Payload[:8]; uid[:2] != "\x93\xa6" || got.Channel != b.channel || got.Payload[8:] != bytesOf(t, b.want) {
			t.Errorf("%x on %s", got.Payload, got.Channel)
		}
	}
}

// Nothing from the wire does harm.
func TestHostile(t *testing.T) {
	s := brokers.Redis(t)
	redis := watch(t, s)
	n := start(t, "a", connect(t, s), &redisadapter.Options{MaxMessageBytes: 1 << 20, RequestsTimeout: 50 * time.Millisecond})
	together(t, []*node{n})
	deep := strings.Repeat("\x91", 100_000) + "\xc0"
	bad := map[string][]string{
		"socket.io#/#": {
			"", "\xc1", "x", "{}", "\x93", "\x93\xa1u", "\x90", "\x93\xa1u\xc0\xc0", "\x93\x01\x80\x80", "\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff",
			"\x93\xa1u" + deep + "\x80", deep, "\x93\xa1u\x80\x80", "\x93\xa1u\x81\xa4type\x03\x80", "\x93\xa1u\x82\xa4type\x02\xa4data\x90\x80",
			"\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa7connect\x80", "\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa1e\x81\xa5rooms\x01",
			"\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa1e\x80rest", "\x93\xc6\xff\xff\xff\xff",
			strings.Repeat("x", 2<<20),
		},
		"socket.io#/#all#": {"x"},
		"socket.io-request#/#": {
			"", "{", "{}", `{"type":"x"}`, `{"type":99}`, `{"type":-1}`, `{"type":6}`, `{"type":6,"data":{}}`, `{"type":6,"data":["connect"]}`, `{"type":7,"requestId":"r"}`,
			`{"type":5,"opts":7,"requestId":"r"}`, `{"type":2,"opts":{"rooms":[{}]}}`, `{"type":0,"rooms":"x","requestId":"r"}`, "\x81\xa4type\x07", deep,
			`{"type":0,"requestId":"` + strings.Repeat("x", 1000) + `"}`, strings.Repeat(`{"type":`, 20_000),
			"\x83\xa4type\x07\xa9requestId\xa1r\xa6packet\x81\xa3nsp\xa2/x", `{"type":7,"requestId":"r","opts":{},"packet":{"data":["e"],"nsp":"/x"}}`,
		},
		"socket.io-response#/#": {"", "{", "\xc1", `{"requestId":{}}`, deep},
	}
	want := uint64(0)
	for channel, messages := range bad {
		for _, m := range messages {
			redis.publish(channel, m)
			want++
		}
	}
	// Answers that nobody has asked for, of sockets that are not there, of one's own name, are in order, and do nothing.
	for _, m := range []string{`{"requestId":"nobody"}`, `{"requestId":"x","type":8,"clientCount":1e300}`, "\x80", `null`, `[]`} {
		_ = redis.client.Publish(t.Context(), "socket.io-response#/#", m)
	}
	redis.publish("socket.io-request#/#", `{"requestId":"r","type":2,"sid":"nobody","room":"x"}`)
	// Those who ask get their answers nevertheless, and wrong ones among them are left out.
	redis.publish("socket.io#/#", "\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa3end\x80")
	n.expect(`2["end"]`)
	eventually(t, "what is wrong is counted", func() bool { return n.adapter().Stats().Ignored >= want })
	if stats := n.adapter().Stats(); stats.Ignored > want+3 {
		t.Errorf("%+v, want %d ignored", stats, want)
	}
	other := start(t, "b", connect(t, s), nil)
	together(t, []*node{n, other})
	_ = other.Emit("still here")
	n.expect(`2["still here"]`)
}

// What a client of another server answers may come before the server has told how many it has: official servers publish the two by different
// masters of a Redis Cluster.
func TestAnswerBeforeCount(t *testing.T) {
	s := brokers.Redis(t)
	n := start(t, "a", connect(t, s), nil)
	together(t, []*node{n})
	other := connect(t, s)
	requests := other.Subscribe(t.Context(), "socket.io-request#/#")
	t.Cleanup(func() { _ = requests.Close() })
	eventually(t, "somebody else has subscribed", func() bool {
		count, err := n.Adapter().ServerCount(t.Context())
		return err == nil && count == 2
	})
	type answers struct {
		all []socketio.Args
		err error
	}
	done := make(chan answers, 1)
	go func() {
		all, err := n.Timeout(10*time.Second).EmitWithAck(t.Context(), "q")
		done <- answers{all, err}
	}()
	m := testkit.Within(t, "the broadcast", requests.Channel())
	id := m.Payload[strings.Index(m.Payload, "requestId")+10:][:6]
	for _, answer := range []string{`"type":9,"packet":["one"]`, `"type":9,"packet":["two"]`, `"type":8,"clientCount":3`, `"type":9,"packet":["three"]`} {
		if err := other.Publish(t.Context(), "socket.io-response#/#", `{"requestId":"`+id+`",`+answer+`}`).Err(); err != nil {
			t.Fatal(err)
		}
	}
	n.answer(`["q"]`, `["a"]`)
	got := testkit.Within(t, "the acknowledgements", done)
	var texts []string
	for _, args := range got.all {
		texts = append(texts, fmt.Sprint(args.Args()...))
	}
	slices.Sort(texts)
	if len(texts) != 4 || got.err != nil {
		t.Errorf("%q, %v", texts, got.err)
	}
}

// Another server whose answers make no sense is one that has not answered.
func TestWrongAnswers(t *testing.T) {
	s := brokers.Redis(t)
	n := start(t, "a", connect(t, s), &redisadapter.Options{RequestsTimeout: 200 * time.Millisecond})
	together(t, []*node{n})
	liar := connect(t, s)
	requests := liar.Subscribe(t.Context(), "socket.io-request#/#")
	t.Cleanup(func() { _ = requests.Close() })
	eventually(t, "somebody else has subscribed", func() bool {
		count, err := n.Adapter().ServerCount(t.Context())
		return err == nil && count == 2
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := range requests.Channel() {
			var r struct {
				RequestID string `json:"requestId"`
			}
			if json.Unmarshal([]byte(m.Payload), &r) != nil { // a broadcast in MessagePack: 100 answers of no clients
				id := m.Payload[strings.Index(m.Payload, "requestId")+10:][:6]
				for _, answer := range []string{`"type":8,"clientCount":-5`, `"type":8,"clientCount":1e300`, `"type":9,"packet":1`, `"type":77`} {
					_ = liar.Publish(context.Background(), "socket.io-response#/#", `{"requestId":"`+id+`",`+answer+`}`)
				}
				continue
			}
			for _, answer := range []string{`"sockets":7`, `"sockets":[null]`, `"rooms":7`, `"nothing":1`} {
				_ = liar.Publish(context.Background(), "socket.io-response#/#", `{"requestId":"`+r.RequestID+`",`+answer+`}`)
			}
		}
	}()
	ctx := t.Context()
	if all, err := n.FetchSockets(ctx); len(all) != 1 {
		t.Errorf("FetchSockets: %v, %v", all, err)
	}
	if all, err := n.adapter().AllRooms(ctx); len(all) != 3 || err == nil {
		t.Errorf("AllRooms: %v, %v", all, err)
	}
	if all, err := n.ServerSideEmitWithAck(ctx, "e"); len(all) != 0 || err == nil {
		t.Errorf("ServerSideEmitWithAck: %v, %v", all, err)
	}
	go func() {
		n.answer(`["q"]`, `[1]`)
	}()
	if all, err := n.Timeout(testkit.Patience).EmitWithAck(ctx, "q"); len(all) != 1 || err == nil {
		t.Errorf("EmitWithAck: %v, %v", all, err)
	}
	_ = requests.Close()
	<-done
}
