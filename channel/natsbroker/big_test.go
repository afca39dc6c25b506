package natsbroker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/cluster"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

// What JetStream would damage its files with is refused, by whomever it is put there, in a stream of before, too.
func TestTooLongForFiles(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(conf, []byte("max_payload: 64MB\nmax_pending: 256MB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "nats://" + brokers.NATS(t, "--config", conf).Addr
	nc := connect(t, url)
	first := open(t, url, natsbroker.Options{})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	have, err := js.Stream(ctx, "BARO_CHANNELS")
	if err != nil {
		t.Fatal(err)
	}
	config := have.CachedInfo().Config
	config.MaxMsgSize = -1
	if _, err := js.UpdateStream(ctx, config); err != nil {
		t.Fatal(err)
	}
	a := open(t, url, natsbroker.Options{})
	var last channel.Position
	for i := range 30 {
		last = put(t, first, "c", text("%d", i)).Message.Position()
	}
	answer, err := nc.Request("baro.p."+cluster.Word("c"), make([]byte, 64_000_000), testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", answer.Data)
	r := testkit.Within(t, "an answer", start(a, "c", &channel.Message{Data: make([]byte, 32<<20), Binary: true}, many))
	if !errors.Is(r.err, natsbroker.ErrTooLarge) {
		t.Errorf("%v, %v", r.Appended, r.err)
	}
	for _, b := range []channel.Broker{a, first} {
		if next := put(t, b, "c", text("after")).Message.Position(); next.Epoch != last.Epoch || next.Offset != last.Offset+1 {
			t.Fatalf("after %v comes %v", last, next)
		} else {
			last = next
		}
	}
	big := &channel.Message{Data: make([]byte, 20<<20), Binary: true}
	keep := many
	keep.Bytes = 1 << 30
	if r := testkit.Within(t, "an answer", start(a, "c", big, keep)); r.err != nil || r.Message.Offset != last.Offset+1 {
		t.Errorf("%+v", r)
	}
}
