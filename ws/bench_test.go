package ws_test

import (
	"context"
	"fmt"
	"testing"

	"baro.dev/ws"
)

// BenchmarkEcho is a message written, echoed by the peer and read, on both sides: client and server share the figures.
func BenchmarkEcho(b *testing.B) {
	for way, handler := range echoes(ws.AcceptOptions{}) {
		for _, size := range []int{64, 1024, 65536} {
			b.Run(fmt.Sprintf("%s/%d", way, size), func(b *testing.B) {
				ctx := context.Background()
				c, _, err := ws.Dial(ctx, serve(b, handler), nil)
				if err != nil {
					b.Fatal(err)
				}
				defer c.CloseNow()
				data := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				if err := c.Write(ctx, ws.Binary, data); err != nil {
					b.Fatal(err)
				}
				n := 0
				for _, err := range c.Messages(ctx) {
					if err != nil {
						b.Fatal(err)
					}
					if n++; n == b.N {
						break
					}
					if err := c.Write(ctx, ws.Binary, data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
