package mask

import (
	"sync"
	"testing"
)

func TestKeySpendsEachByteOnce(t *testing.T) {
	b := &block{used: blockSize}
	first := b.take()
	for i := 4; i < blockSize; i += 4 {
		if b.used != i {
			t.Fatalf("%d bytes spent, want %d", b.used, i)
		}
		for j, c := range b.random[:i] {
			if c != 0 {
				t.Fatalf("spent byte %d is still there after %d", j, i)
			}
		}
		b.take()
	}
	if b.used != blockSize || b.random != [blockSize]byte{} {
		t.Fatal("a spent block still holds keys")
	}
	before := [3]uint32{first, b.take(), b.take()}
	if before == [3]uint32{} || b.used != 8 || b.random == [blockSize]byte{} {
		t.Fatal("a spent block was not filled anew")
	}
}

// RFC 6455 5.3: "the client MUST pick a fresh masking key from the set of
// allowed 32-bit values". One of 32 bits may come again by chance; two in a
// row that come again are a block handed out twice.
func TestKeysDoNotRepeat(t *testing.T) {
	const each = 1 << 13
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		seen = make(map[uint64]bool)
	)
	for range 4 {
		wg.Go(func() {
			var pairs [each]uint64
			for i := range pairs {
				pairs[i] = uint64(Key())<<32 | uint64(Key())
			}
			mu.Lock()
			defer mu.Unlock()
			for _, p := range pairs {
				if seen[p] {
					t.Errorf("the keys %016x came twice", p)
				}
				seen[p] = true
			}
		})
	}
	wg.Wait()
}

func TestKeysUseEveryValueOfEveryByte(t *testing.T) {
	var seen [4][256]bool
	for range 1 << 16 {
		key := Key()
		for i := range seen {
			seen[i][byte(key>>(8*i))] = true
		}
	}
	for i := range seen {
		for v, ok := range seen[i] {
			if !ok {
				t.Errorf("byte %d of 65536 keys was never %#02x", i, v)
			}
		}
	}
}

func TestAllocations(t *testing.T) {
	b, dst := make([]byte, 1000), make([]byte, 1000)
	for name, f := range map[string]func(){
		"XOR":  func() { XOR(b, 1) },
		"Copy": func() { Copy(dst, b, 1) },
		"Key":  func() { Key() },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Key()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				Key()
			}
		})
	})
}
