package redisbroker

import (
	"crypto/rand"
	_ "embed" // the scripts
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/channel"
)

//go:embed lua/common.lua
var commonLua string

//go:embed lua/append.lua
var appendLua string

//go:embed lua/look.lua
var lookLua string

//go:embed lua/read.lua
var readLua string

// scripts is what the broker has Redis run: each all at once, and nothing else meanwhile.
type scripts struct{ append, look, read *redis.Script }

func newScripts(publish string, maxEntry int) scripts {
	constants := strings.NewReplacer(
		"KEYAGE", fmt.Sprint(channel.KeyAge.Milliseconds()), "MAXKEYS", fmt.Sprint(channel.MaxKeys),
		"MAXENTRY", fmt.Sprint(maxEntry), "'PUBLISH'", "'"+publish+"'",
	)
	source := func(body string) string { return constants.Replace(commonLua + body) }
	return scripts{redis.NewScript(source(appendLua)), redis.NewScript(source(lookLua)), redis.NewScript(source(readLua))}
}

// newEpoch makes a word of 65 random bits.
func newEpoch() string { return rand.Text()[:epochBytes] }

func newTag() string {
	b := make([]byte, tagBytes)
	_, _ = rand.Read(b) // which never fails
	return string(b)
}

// appendKnown appends what continue of common.lua takes.
func appendKnown(b []byte, known place) []byte {
	b = append(b, newEpoch()...)
	if known.epoch == "" {
		known = place{epoch: noEpoch, tag: noTag}
	}
	b = append(b, known.epoch...)
	b = binary.BigEndian.AppendUint64(b, known.offset)
	return append(b, known.tag...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// bounds is a channel.Keep as the scripts take it.
type bounds struct {
	count        uint32
	bytes, age   uint64
	last         bool
	rememberMsec uint64
}

func (b *Broker) bounds(keep channel.Keep) bounds {
	return bounds{
		count: uint32(max(0, min(int64(keep.Count), 1<<31))), bytes: uint64(max(0, min(keep.Bytes, 1<<50))),
		age: uint64(max(0, keep.Age.Microseconds())), last: keep.Last,
		rememberMsec: uint64(max(b.o.Remember, keep.Age+keep.Age/4, time.Millisecond).Milliseconds()),
	}
}

func (o bounds) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, o.count)
	b = binary.BigEndian.AppendUint64(b, o.bytes)
	b = binary.BigEndian.AppendUint64(b, o.age)
	b = appendBool(b, o.last)
	return binary.BigEndian.AppendUint64(b, o.rememberMsec)
}

// answer is the array that a script returns, read with care.
type answer struct {
	values []any
	bad    bool
}

func answerOf(v any) *answer {
	values, ok := v.([]any)
	return &answer{values: values, bad: !ok}
}

func (a *answer) text() string {
	if len(a.values) == 0 {
		a.bad = true
		return ""
	}
	s, ok := a.values[0].(string)
	a.bad = a.bad || !ok
	a.values = a.values[1:]
	return s
}

func (a *answer) number() uint64 {
	if len(a.values) == 0 {
		a.bad = true
		return 0
	}
	n, ok := a.values[0].(int64)
	a.bad = a.bad || !ok || n < 0
	a.values = a.values[1:]
	return uint64(max(n, 0))
}
