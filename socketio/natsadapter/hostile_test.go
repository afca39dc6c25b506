package natsadapter_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"baro.dev/internal/testkit/brokers/embedded"
	"baro.dev/socketio/internal/adaptertest"
	"baro.dev/socketio/natsadapter"
)

// logged is what was logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func message(version, form byte, sender string, numbers []uint64, body string) []byte {
	b := append([]byte{version, form}, sender...)
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return append(b, body...)
}

const stranger = "0123456789"

// hostile is what strangers send.
func hostile() [][]byte {
	all := [][]byte{
		{}, {1}, {1, 0}, []byte("hello"), []byte(`{"type":3}`), bytes.Repeat([]byte{0xff}, 100_000),
		message(0, 0, stranger, nil, "{}"), message(3, 0, stranger, nil, "{}"), message(255, 0, stranger, nil, "{}"),
		message(1, 9, stranger, nil, "{}"), message(1, 0, "a b.c>*\x00\n!", nil, "{}"), message(1, 0, stranger, nil, ""),
		message(1, 1, stranger, nil, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		message(1, 2, stranger, []uint64{1, 1, 2}, "a piece without the one before"),
		message(1, 2, stranger, []uint64{1, 0, 0}, "of none"),
	}
	for _, body := range []string{
		"null", "[]", "3", `"x"`, "{}", "{", strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 50_000),
		`{"type":3}`, `{"type":"3","uid":"0123456789","nsp":"/"}`, `{"type":99,"uid":"0123456789","nsp":"/"}`,
		`{"type":-1,"uid":"0123456789","nsp":"/"}`, `{"type":3,"uid":"0123456789","nsp":"/"}`,
		`{"type":3,"uid":"9876543210","nsp":"/","data":{"packet":{"type":2,"data":["forged"]},"opts":{"rooms":[],"except":[],"flags":{}}}}`,
		`{"type":3,"uid":"0123456789","nsp":"/","data":{"packet":{"type":2,"data":{}},"opts":{"rooms":[]}}}`,
		`{"type":3,"uid":"0123456789","nsp":"/","data":{"packet":{"type":0,"data":[]},"opts":{"rooms":[]}}}`,
		`{"type":3,"uid":"0123456789","nsp":"/","data":{"packet":{"type":2,"data":["connect"]},"opts":{"rooms":[]}}}`,
		`{"type":3,"uid":"0123456789","nsp":"/","data":{"packet":{"type":2,"data":["e"]},"opts":{"rooms":{"length":1e9}}}}`,
		`{"type":4,"uid":"0123456789","nsp":"/","data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":7}}`,
		`{"type":7,"uid":"0123456789","nsp":"/","data":{"opts":{}}}`,
		`{"type":8,"uid":"0123456789","nsp":"/","data":{"requestId":"x","sockets":"none"}}`,
		`{"type":11,"uid":"0123456789","nsp":"/","data":{"requestId":"x","clientCount":-5}}`,
		`{"type":9,"uid":"0123456789","nsp":"/","data":{"packet":"x"}}`,
	} {
		all = append(all, message(1, 0, stranger, nil, body))
	}
	return all
}

// What strangers send is ignored and counted, told once a minute, and holds up nothing.
func TestHostile(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	var log logged
	o := &natsadapter.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxMessageBytes: 2 << 20}
	a, b := join(t, url, o), join(t, url, nil)
	a.sees(t, 2)
	b.sees(t, 2)
	pa := a.joined(t, "room")
	raw := dial(t, url)
	var subjects []string
	tap, err := raw.SubscribeSync("socketio.>")
	if err != nil || raw.Flush() != nil {
		t.Fatal(err)
	}
	_ = b.Emit("1")
	_ = b.To("room").Emit("2")
	_ = b.To(pa.ID).Emit("3")
	pa.Expect(`2["1"]`, `2["2"]`, `2["3"]`)
	_, _ = b.FetchSockets(t.Context())
	for range 30 { // subjects that are in use
		m, err := tap.NextMsg(adaptertest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, m.Subject)
		if len(tapped(subjects)) == 4 && len(subjects) > 10 {
			break
		}
	}
	if err := tap.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	publish := func(subject string, data []byte) {
		if err := raw.PublishMsg(&nats.Msg{Subject: subject, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	for subject := range tapped(subjects) {
		for _, data := range hostile() {
			publish(subject, data)
		}
	}
	// 100 MB in pieces, of a message that is said to have more of them than there are numbers.
	megabyte := strings.Repeat("x", 1_000_000)
	for i := range uint64(100) {
		publish(subjects[0], message(1, 2, stranger, []uint64{7, i, 1 << 60}, megabyte))
	}
	for i := range 200 { // and many senders that each begin something
		publish(subjects[0], message(1, 2, fmt.Sprintf("%010d", i), []uint64{7, 0, 2}, megabyte[:100_000]))
	}
	if err := raw.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = b.To("room").Emit("still")
	pa.Expect(`2["still"]`)
	// What others have begun and never ended is not in the way of what is whole.
	_ = b.To("room").Emit("long", megabyte+megabyte)
	pa.Expect(`2["long","` + megabyte + megabyte + `"]`)
	if all, err := b.FetchSockets(t.Context()); len(all) != 1 || err != nil {
		t.Error(all, err)
	}
	s := a.cluster.Stats()
	if s.Ignored < 100 || s.PendingBytes > 1<<20 {
		t.Errorf("%+v", s)
	}
	if n := log.count("level=WARN"); n == 0 || n > 12 {
		t.Errorf("%d lines for %d messages:\n%.5000s", n, s.Ignored, log.b.String())
	}
}

// tapped are the subjects that are Socket.IO's.
func tapped(subjects []string) map[string]bool {
	all := map[string]bool{}
	for _, s := range subjects {
		if strings.Contains(s, ".nsp.") || strings.Contains(s, ".node.") && !strings.Contains(s, ".bus.") {
			all[s] = true
		}
	}
	return all
}

// A server of the next version is understood as far as it says what this one knows.
func TestNextVersion(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	a, b := join(t, url, nil), join(t, url, nil)
	a.sees(t, 2)
	pa := a.client(t)
	raw := dial(t, url)
	tap, err := raw.SubscribeSync("socketio.nsp.*.all")
	if err != nil || raw.Flush() != nil {
		t.Fatal(err)
	}
	_ = b.Emit("this version", 1)
	pa.Expect(`2["this version",1]`)
	m, err := tap.NextMsg(adaptertest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	const head = 12
	uid := string(m.Data[2:head])
	next := func(form byte, body string) {
		if err := raw.Publish(m.Subject, message(2, form, uid, nil, body)); err != nil {
			t.Fatal(err)
		}
	}
	next(0, fmt.Sprintf(`{"type":40,"data":{"new":[1,{"a":2}]},"uid":%q,"nsp":"/"}`, uid)) // a new type
	next(17, "a form that this version does not know")
	next(0, fmt.Sprintf(`{"type":3,"ttl":5,"data":{"packet":{"type":2,"data":["next version",2],"x":null},"opts":{"rooms":[],"except":[],`+
		`"flags":{"new":true},"only":{}},"news":[]},"uid":%q,"nsp":"/"}`, uid))
	pa.Expect(`2["next version",2]`)
	if s := a.cluster.Stats(); s.Ignored != 2 {
		t.Errorf("%d ignored", s.Ignored)
	}
}

// What the wire brings, whatever it is.
func FuzzWire(f *testing.F) {
	conn, err := nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(conn.Close)
	a := &member{conn: conn, cluster: cluster(f, conn, &natsadapter.Options{MaxMessageBytes: 1 << 16})}
	a.Server, a.url = adaptertest.Serve(f, a.cluster.Adapter)
	pa := a.client(f)
	for _, data := range hostile() {
		if len(data) < 1000 {
			f.Add(byte(0), data)
		}
	}
	f.Add(byte(1), message(1, 0, stranger, nil, `{"type":3,"data":{"packet":{"type":2,"data":["e",1]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"0123456789","nsp":"/"}`))
	f.Add(byte(2), message(1, 2, stranger, []uint64{1, 0, 2}, `{"type":3,"data":`))
	n := 0
	f.Fuzz(func(t *testing.T, where byte, data []byte) {
		subjects := natsadapter.Subjects(a.cluster, "/", pa.ID)
		natsadapter.Take(a.cluster, subjects[int(where)%len(subjects)], data)
		if n++; n%100 == 0 { // its queue does not grow for ever
			natsadapter.Settle(a.cluster, "/")
		}
	})
}
