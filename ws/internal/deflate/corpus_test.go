package deflate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

var words = strings.Fields(`hello world message status update price order ticket confirmed shipping delayed again never morning
	evening market signal channel presence history 안녕하세요 메세지 привет`)

// jsonText returns size bytes like those an application sends: records with some repetition and some randomness.
func jsonText(r *rand.Rand, size int) []byte {
	word := func() string { return words[r.IntN(len(words))] }
	b := []byte{'['}
	for len(b) < size {
		b = fmt.Appendf(b, `{"id":%d,"user":%q,"room":"lobby-%d","text":"%s %s %s","ts":%d,"price":%.2f,"tags":[%q,%q],"ok":%v},`,
			r.IntN(1e6), word(), r.IntN(50), word(), word(), word(), 1700000000000+r.Int64N(1e10), r.Float64()*1000,
			word(), word(), r.IntN(2) == 0)
	}
	return b[:size]
}

func randomBytes(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(7692, 1951)) }

// series are messages as one direction of a connection may carry them, of every kind and size.
var series = sync.OnceValue(func() [][]byte {
	r := newRand()
	messages := [][]byte{
		{},
		[]byte("Hello"),
		[]byte("Hello"),
		{0},
		[]byte("{}"),
		bytes.Repeat([]byte("a"), 300),
		bytes.Repeat([]byte("ab"), 40_000),
		make([]byte, 3),
		randomBytes(r, 60),
		randomBytes(r, 127),
		randomBytes(r, 128),
		randomBytes(r, 5000),
	}
	for _, size := range []int{20, 90, 127, 128, 129, 200, 255, 256, 383, 384, 385, 511, 513, 1000, 1100, 2048, 4096, 5000, 16384, 40_000} {
		messages = append(messages, jsonText(r, size), jsonText(r, size))
	}
	// What a message repeats lies about one window back.
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		for _, gap := range []int{-20, -1, 0, 1, 20} {
			phrase := randomBytes(r, 20)
			message := append(append([]byte{}, phrase...), randomBytes(r, 1<<bits+gap-20)...)
			messages = append(messages, append(message, phrase...))
		}
	}
	r.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	return messages
})
