package natsbroker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

// Who lacks a permission is told which.
func TestDenied(t *testing.T) {
	config := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(config, []byte(`authorization { users: [
		{user: all, password: p},
		{user: deaf, password: p, permissions: {publish: ">", subscribe: {deny: "baro.r.>"}}},
		{user: mute, password: p, permissions: {publish: {deny: "baro.p.>"}, subscribe: ">"}},
		{user: part, password: p, permissions: {publish: {deny: "baro.p.YWJjZA"}, subscribe: ">"}},
		{user: nothing, password: p, permissions: {publish: {deny: "$JS.>"}, subscribe: ">"}},
	]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := brokers.NATS(t, "--config", config).Addr
	as := func(user string, timeout time.Duration) (*natsbroker.Broker, error) {
		nc, err := nats.Connect("nats://"+user+":p@"+addr, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		b, err := natsbroker.Open(ctx, nc, &natsbroker.Options{Timeout: time.Second})
		if err == nil {
			t.Cleanup(func() { _ = b.Close() })
		}
		return b, err
	}
	all, err := as("all", testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	put(t, all, "c", text("x"))
	names := func(err error, subject string) {
		t.Helper()
		if !errors.Is(err, natsbroker.ErrDenied) || !strings.Contains(err.Error(), subject) {
			t.Error(err)
		}
	}
	_, err = as("nothing", time.Second)
	names(err, "$JS.API.STREAM.INFO")
	deaf, err := as("deaf", testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	_, err = deaf.Follow("c", many, &feed{})
	names(err, "baro.r.")
	mute, err := as("mute", testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	names(testkit.Within(t, "an answer", start(mute, "c", text("x"), many)).err, "baro.p.")

	// It is about one channel, and not about another whose name begins alike.
	part, err := as("part", testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	names(testkit.Within(t, "an answer", start(part, "abcd", text("x"), many)).err, "baro.p.YWJjZA")
	js := stream(t, "nats://all:p@"+addr)
	channels, err := js.Stream(t.Context(), "BARO_CHANNELS")
	if err != nil {
		t.Fatal(err)
	}
	small := channels.CachedInfo().Config
	small.MaxMsgSize = 2 << 10
	if _, err := js.UpdateStream(t.Context(), small); err != nil {
		t.Fatal(err)
	}
	large := &channel.Message{Data: make([]byte, 4<<10), Binary: true}
	if err := testkit.Within(t, "an answer", start(part, "abc", large, many)).err; !errors.Is(err, natsbroker.ErrTooLarge) {
		t.Error(err)
	}
}
