package client_test

import (
	"runtime"
	"testing"

	"baro.dev/channel"
	"baro.dev/channel/client"
)

// BenchmarkIdle says what a connected client takes that has one subscription, stacks included, and its server's side too, which is in the
// same process.
func BenchmarkIdle(b *testing.B) {
	_, url := start(b, nil)
	dial(b, url, over(client.WebSocket)) // what is there once
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := used()
	for b.Loop() {
		subscribe(b, dial(b, url, over(client.WebSocket)), "a", func(*channel.Message) {}, nil)
	}
	b.ReportMetric(float64(used()-before)/float64(b.N), "bytes/client")
}
