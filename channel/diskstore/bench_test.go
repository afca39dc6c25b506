package diskstore_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/diskstore"
)

// BenchmarkSave is messages of 100 bytes, by publishers that wait for each: every one in a channel of its own, which keeps
// a thousand.
func BenchmarkSave(b *testing.B) {
	for _, sync := range []bool{true, false} {
		for _, publishers := range []int{1, 100} {
			b.Run(fmt.Sprintf("sync=%v/publishers=%d", sync, publishers), func(b *testing.B) {
				benchmarkSave(b, sync, publishers)
			})
		}
	}
}

func benchmarkSave(b *testing.B, fsync bool, publishers int) {
	s := open(b, b.TempDir(), &diskstore.Options{NoSync: !fsync})
	keep := channel.Keep{Count: 1000, Bytes: 4 << 20, Age: time.Hour}
	data := make([]byte, 100)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wait sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range publishers {
		name := fmt.Sprintf("rooms/%d", i)
		wait.Go(func() {
			done := make(chan error, 1)
			for offset := uint64(1); left.Add(-1) >= 0; offset++ {
				m := &channel.Message{Offset: offset, Epoch: "ABCDEFGHIJKLM", Time: time.Now(), Data: data}
				m.ID = m.Position().String()
				s.Save(name, m, keep, func(err error) { done <- err })
				if err := <-done; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "saves/s")
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []uint64{1, 1000} {
		b.Run(fmt.Sprintf("messages=%d", n), func(b *testing.B) {
			s := open(b, b.TempDir(), &diskstore.Options{NoSync: true})
			fill(b, s, "c", "ABCDEFGHIJKLM", 1, n, 100, all)
			b.ReportAllocs()
			for b.Loop() {
				if saved := load(b, s, "c", all); saved.Count != int(n) {
					b.Fatal(saved.Count)
				}
			}
		})
	}
}

// BenchmarkRead is 10 messages out of the middle of a thousand.
func BenchmarkRead(b *testing.B) {
	s := open(b, b.TempDir(), &diskstore.Options{NoSync: true})
	fill(b, s, "c", "ABCDEFGHIJKLM", 1, 1000, 100, all)
	b.ReportAllocs()
	for b.Loop() {
		if messages, err := s.Read("c", "ABCDEFGHIJKLM", 500, 1000); err != nil || len(messages) != 10 {
			b.Fatal(len(messages), err)
		}
	}
}

// BenchmarkOpen is a file of 100,000 messages, about 20 MB.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir, &diskstore.Options{NoSync: true})
	for i := range 100 {
		fill(b, s, fmt.Sprintf("rooms/%d", i), "ABCDEFGHIJKLM", 1, 1000, 100, all)
	}
	s.Close()
	b.ReportAllocs()
	for b.Loop() {
		s, err := diskstore.Open(dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
