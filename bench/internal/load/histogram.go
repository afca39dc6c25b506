//go:build linux

package load

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets whose width is 1/64 of their value, as HdrHistogram does.
type histogram struct {
	counts [58*64 + 64]uint64
	total  uint64
}

func (h *histogram) add(d int64, n int) {
	h.counts[bucket(uint64(max(d, 0)))] += uint64(n)
	h.total += uint64(n)
}

func (h *histogram) reset() { *h = histogram{} }

func bucket(v uint64) int {
	shift := max(bits.Len64(v)-7, 0)
	return shift*64 + int(v>>shift)
}

// ceiling is the largest value of a bucket.
func ceiling(bucket int) uint64 {
	shift := max(bucket/64-1, 0)
	return uint64(bucket-shift*64+1)<<shift - 1
}

// quantile returns the duration that the fraction q of all does not exceed, 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.total)), uint64(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && seen > min(rank, h.total-1) {
			return time.Duration(ceiling(i))
		}
	}
	return 0
}
