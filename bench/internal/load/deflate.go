//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
)

// Deflate has connections echo compressed text (RFC 7692), one message in flight on each.
type Deflate struct {
	Conns, Size      int
	Context          bool // with context takeover
	Warmup, Duration time.Duration
}

// Deflate measures.
func (t Target) Deflate(o Deflate) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		g, err := newGenerator(t)
		if err != nil {
			return Result{}, err
		}
		defer g.close()
		d := newDeflater(g, o.Size, o.Context)
		if err := g.open(o.Conns, d.offer, d.check); err != nil {
			return Result{}, err
		}
		if err := g.watch(); err != nil {
			return Result{}, err
		}
		for i := range g.conns {
			if err := d.ask(i); err != nil {
				return Result{}, err
			}
		}
		r, err := g.measure(o.Warmup, o.Duration, d.step)
		r.Extensions = g.extensions
		return r, err
	})
}

// ring is how many different messages a connection sends, again and again. Compressed with context takeover they refer
// back, but not beyond the first of them, so that the ring can start again.
const ring = 32

type deflater struct {
	*generator
	offer      string
	context    bool
	texts      [][]byte
	compressed [][]byte   // when the server's agreement is known
	frames     [][][]byte // for each connection, masked
	next       []int      // for each connection
}

func newDeflater(g *generator, size int, context bool) *deflater {
	d := &deflater{generator: g, context: context, offer: "permessage-deflate; server_no_context_takeover; client_no_context_takeover"}
	if context {
		d.offer = "permessage-deflate; client_max_window_bits" // as browsers do
	}
	for range ring {
		d.texts = append(d.texts, jsonText(g.random, size))
	}
	return d
}

// jsonText is text of so many bytes that looks like what applications send.
func jsonText(random *rand.Rand, size int) []byte {
	words := strings.Fields("alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa")
	b := []byte("[")
	for len(b) < size {
		b = fmt.Appendf(b, `{"id":%d,"user":"%s-%x","price":%.2f,"tags":["%s","%s"],"active":%v,"note":"%s %s %s"},`,
			random.IntN(1e6), words[random.IntN(16)], random.Uint32(), random.Float64()*1000, words[random.IntN(16)],
			words[random.IntN(16)], random.IntN(2) == 0, words[random.IntN(16)], words[random.IntN(16)], words[random.IntN(16)])
	}
	return b[:size]
}

// compress makes the ring's messages, as agreed.
func (d *deflater) compress() error {
	words := strings.FieldsFunc(d.extensions, func(r rune) bool { return r == ';' || r == ' ' || r == '"' })
	if len(words) == 0 || words[0] != "permessage-deflate" {
		return fmt.Errorf("the server agreed to %q and not to permessage-deflate", d.extensions)
	}
	window, alone := 15, false
	for _, word := range words[1:] {
		if bits, ok := strings.CutPrefix(word, "client_max_window_bits="); ok {
			window, _ = strconv.Atoi(bits)
		}
		alone = alone || word == "client_no_context_takeover"
	}
	var b bytes.Buffer
	w, err := flate.NewWriterWindow(&b, 1<<window)
	if err != nil {
		return fmt.Errorf("window of %d bits: %w", window, err)
	}
	for _, text := range d.texts {
		if alone {
			w.Reset(&b)
		}
		b.Reset()
		if _, err := w.Write(text); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		d.compressed = append(d.compressed, bytes.TrimSuffix(bytes.Clone(b.Bytes()), []byte{0, 0, 0xff, 0xff})) // RFC 7692 7.2.1
	}
	return nil
}

// check sends two messages over each connection of a wave and compares what comes back.
func (d *deflater) check(first, end int) error {
	if d.compressed == nil {
		if err := d.compress(); err != nil {
			return err
		}
	}
	inflaters := make([]inflater, end-first)
	for n := range 2 {
		for i := first; i < end; i++ {
			frame := appendFrame(nil, opText|rsv1, d.key(), d.compressed[n])
			if err := writeAll(d.conns[i].fd, frame); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		for i := first; i < end; i++ {
			head, data, err := receive(d.conns[i].fd)
			if err == nil && head&rsv1 != 0 {
				data, err = inflaters[i-first].inflate(data)
			} else if err == nil {
				err = errors.New("not compressed")
			}
			if err == nil && !bytes.Equal(data, d.texts[n]) {
				err = errors.New("what came back is not what was sent")
			}
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
	}
	return nil
}

// inflater inflates messages, with the context of the ones before. A server that takes no context over does not refer
// to it.
type inflater struct{ window []byte }

func (f *inflater) inflate(data []byte) ([]byte, error) {
	tail := []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff} // what RFC 7692 7.2.1 removed, and a last, empty block
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(data), bytes.NewReader(tail)), f.window)
	text, err := io.ReadAll(r)
	f.window = append(f.window, text...)
	f.window = f.window[max(0, len(f.window)-32<<10):]
	return text, err
}

// ask sends the connection's next message.
func (d *deflater) ask(i int) error {
	if d.frames == nil {
		d.frames, d.next = make([][][]byte, len(d.conns)), make([]int, len(d.conns))
		for i := range d.frames {
			d.next[i] = 2 // check has sent two
			for _, c := range d.compressed {
				d.frames[i] = append(d.frames[i], appendFrame(nil, opText|rsv1, d.key(), c))
			}
		}
	}
	frame := d.frames[i][d.next[i]%ring]
	d.next[i]++
	d.conns[i].since = d.now()
	return d.send(i, frame)
}

func (d *deflater) step() error {
	events, err := d.poller.Wait(100)
	if err != nil {
		return err
	}
	for _, e := range events {
		n, err := d.turn(e)
		if err != nil {
			return err
		}
		if n > 1 {
			return fmt.Errorf("connection %d: more replies than messages", e.Fd)
		}
		if n == 1 {
			d.messages++
			d.latency.add(d.now()-d.conns[e.Fd].since, 1)
			if err := d.ask(int(e.Fd)); err != nil {
				return err
			}
		}
	}
	return nil
}
