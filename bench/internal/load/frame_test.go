//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// serverFrame is a frame as a server sends it.
func serverFrame(first byte, size int) []byte {
	b := []byte{first}
	switch serverHeader(size) {
	case 2:
		b = append(b, byte(size))
	case 4:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(size))
	case 10:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(size))
	}
	return append(b, bytes.Repeat([]byte{0x82}, size)...)
}

func TestCounter(t *testing.T) {
	for _, c := range []struct {
		name     string
		size     int
		in       [][]byte
		messages int
		err      string
	}{
		{"small", 64, [][]byte{serverFrame(0x82, 64), serverFrame(0x81, 64)}, 2, ""},
		{"middle", 300, [][]byte{serverFrame(0x82, 300), serverFrame(0x82, 300)}, 2, ""},
		{"large", 70000, [][]byte{serverFrame(0x82, 70000)}, 1, ""},
		{"fragments", 164, [][]byte{serverFrame(0x02, 100), serverFrame(0x00, 64), serverFrame(0x80, 0)}, 1, ""},
		{"empty", 0, [][]byte{serverFrame(0x82, 0), serverFrame(0x82, 5)}, 2, ""},
		{"ping between fragments", 10, [][]byte{serverFrame(0x02, 5), serverFrame(0x89, 4), serverFrame(0x80, 5)}, 1, ""},
		{"compressed, of any size", 0, [][]byte{serverFrame(0xc1, 10), serverFrame(0xc1, 20)}, 2, ""},
		{"another size", 64, [][]byte{serverFrame(0x82, 63)}, 0, "63 bytes instead of 64"},
		{"masked", 64, [][]byte{{0x82, 0x80 | 64}}, 0, "not a frame header"},
		{"reserved opcode", 64, [][]byte{{0x83, 64}}, 0, "not a frame header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := bytes.Join(c.in, nil)
			for step := 1; step <= len(in); step += 1 + step/8 {
				counter := counter{size: c.size}
				messages := 0
				var err error
				for rest := in; len(rest) > 0 && err == nil; {
					n := min(step, len(rest))
					var m int
					m, err = counter.feed(rest[:n])
					messages, rest = messages+m, rest[n:]
				}
				if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Fatalf("%d bytes at a time: error %v, want %q", step, err, c.err)
				}
				if messages != c.messages {
					t.Fatalf("%d bytes at a time: %d messages, want %d", step, messages, c.messages)
				}
			}
		})
	}
}

func TestCounterOfRawBytes(t *testing.T) {
	c := counter{raw: 10}
	for i, n := range []int{0, 0, 1, 0, 1, 0} {
		if got, err := c.feed(make([]byte, 4)); err != nil || got != n {
			t.Fatalf("after %d bytes: %d, %v", 4*(i+1), got, err)
		}
	}
}

// A heartbeat is not a message; other packets of one byte are none of its business.
func TestCounterOfHeartbeats(t *testing.T) {
	ping, noop, message := []byte{0x81, 1, '2'}, []byte{0x81, 1, '6'}, serverFrame(0x81, 64)
	in := bytes.Join([][]byte{ping, message, ping, ping, message}, nil)
	for step := 1; step <= len(in); step++ {
		c := counter{size: 64, beat: true}
		messages := 0
		for rest := in; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			n, err := c.feed(rest[:min(step, len(rest))])
			if err != nil {
				t.Fatal(err)
			}
			messages += n
		}
		if messages != 2 || c.beats != 3 || !c.beaten {
			t.Fatalf("%d bytes at a time: %d messages, %d heartbeats", step, messages, c.beats)
		}
	}
	c := counter{size: 64, beat: true}
	if n, err := c.feed(noop); err == nil || n != 0 || c.beats != 0 {
		t.Errorf("%d messages, %d heartbeats, error %v", n, c.beats, err)
	}
	c = counter{size: 64}
	if _, err := c.feed(ping); err == nil {
		t.Error("a heartbeat where there are none is no error")
	}
}

func TestCounterSeesClose(t *testing.T) {
	var c counter
	if _, err := c.feed(serverFrame(0x88, 2)); err != nil || !c.closed {
		t.Fatal(c.closed, err)
	}
}

func TestAppendFrame(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), size)
		key := [4]byte{1, 2, 3, 4}
		b := appendFrame(nil, opBinary, key, payload)
		header := serverHeader(size)
		if want := serverFrame(0x82, size)[:header]; b[0] != want[0] || b[1] != want[1]|0x80 || !bytes.Equal(b[2:header], want[2:]) {
			t.Errorf("%d bytes: header % x", size, b[:header])
		}
		for i := range payload {
			if b[header+4+i]^key[i&3] != 'x' {
				t.Fatalf("%d bytes: byte %d is wrong", size, i)
			}
		}
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	for i := range 1000 {
		h.add(int64(i+1)*int64(time.Microsecond), 1)
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, time.Microsecond}, {0.5, 501 * time.Microsecond}, {0.99, 991 * time.Microsecond}, {1, time.Millisecond}} {
		got := h.quantile(c.q)
		if got < c.want || float64(got) > float64(c.want)*1.02 {
			t.Errorf("quantile %v: %v, want %v", c.q, got, c.want)
		}
	}
	for v := uint64(1); v < 1<<62; v += 1 + v/3 {
		b := bucket(v)
		if ceiling(b) < v || b > 0 && ceiling(b-1) >= v {
			t.Fatalf("%d is in bucket %d, which ends at %d", v, b, ceiling(b))
		}
	}
}

func TestNothingAllocated(t *testing.T) {
	c := counter{size: 64}
	frames := bytes.Repeat(serverFrame(0x82, 64), 16)
	var h histogram
	if n := testing.AllocsPerRun(100, func() {
		c.feed(frames)
		h.add(1234, 16)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
