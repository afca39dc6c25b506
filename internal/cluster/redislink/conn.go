package redislink

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// conn is a connection that subscribes, in RESP2: commands go out, and what comes are arrays, or errors. go-redis has one, too, but
// it makes room for whatever length Redis says, and subscribes again by itself, in one command, which a cluster refuses.
type conn struct {
	net.Conn
	r        *bufio.Reader
	maxBytes int
	name     []byte // of the channel of the last push
	payload  []byte // of the last push
	due      time.Time
}

// longestName is the longest name of a channel that is looked at.
const longestName = 4 << 10

// push is what Redis tells. Its bytes are valid until the next one.
type push struct {
	kind    string // as Redis has it: message, smessage, subscribe, pong ...
	channel []byte
	payload []byte
	tooLong bool // there was a payload, or a channel, that was longer than is taken
}

// errProtocol means that what came is not what Redis sends to who subscribes.
var errProtocol = errors.New("redislink: not what Redis sends to subscribers")

// dial connects to the server of client, for subscribing.
func dial(ctx context.Context, client *redis.Client, maxBytes int) (*conn, error) {
	o := client.Options()
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	nc, err := o.Dialer(ctx, o.Network, o.Addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, r: bufio.NewReaderSize(nc, 32<<10), maxBytes: maxBytes}
	end := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err = c.introduce(ctx, o)
	if !end() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

// introduce says who is there.
func (c *conn) introduce(ctx context.Context, o *redis.Options) error {
	user, password := o.Username, o.Password
	var err error
	switch {
	case o.StreamingCredentialsProvider != nil:
		return errors.New("redislink: streaming credentials are not supported")
	case o.CredentialsProviderContext != nil:
		user, password, err = o.CredentialsProviderContext(ctx)
	case o.CredentialsProvider != nil:
		user, password = o.CredentialsProvider()
	}
	if err != nil {
		return err
	}
	var b []byte
	answers := 0
	switch {
	case user != "":
		b, answers = appendCommand(b, "AUTH", user, password), 1
	case password != "":
		b, answers = appendCommand(b, "AUTH", password), 1
	}
	if o.ClientName != "" {
		b, answers = appendCommand(b, "CLIENT", "SETNAME", o.ClientName), answers+1
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	for range answers {
		line, err := c.line()
		switch {
		case err != nil:
			return err
		case line[0] == '-':
			return redisError(line[1:])
		case line[0] != '+':
			return errProtocol
		}
	}
	return nil
}

// redisError is an error that Redis told.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {} // see redis.Error

func appendCommand(b []byte, words ...string) []byte {
	b = strconv.AppendInt(append(b, '*'), int64(len(words)), 10)
	b = append(b, "\r\n"...)
	for _, w := range words {
		b = strconv.AppendInt(append(b, '$'), int64(len(w)), 10)
		b = append(b, "\r\n"...)
		b = append(b, w...)
		b = append(b, "\r\n"...)
	}
	return b
}

// next waits for a push, but not for longer than patience in which nothing comes.
func (c *conn) next(patience time.Duration) (push, error) {
	if c.r.Buffered() == 0 {
		if now := time.Now(); c.due.Sub(now) < patience-patience/8 {
			c.due = now.Add(patience)
			if err := c.SetReadDeadline(c.due); err != nil {
				return push{}, err
			}
		}
	}
	line, err := c.line()
	if err != nil {
		return push{}, err
	}
	switch line[0] {
	case '-':
		return push{}, redisError(line[1:])
	case '+':
		return push{kind: "pong"}, nil
	case '*':
	default:
		return push{}, errProtocol
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < 2 || n > 3 {
		return push{}, errProtocol
	}
	p := push{}
	kind, long, err := c.bulk(nil, 32)
	if err != nil || long {
		return push{}, cmpErr(err)
	}
	p.kind = kindOf(kind)
	if c.name, long, err = c.bulk(c.name, longestName); err != nil {
		return push{}, err
	}
	p.channel, p.tooLong = c.name, long
	if n == 3 {
		if c.payload, long, err = c.bulk(c.payload, c.maxBytes); err != nil {
			return push{}, err
		}
		p.payload, p.tooLong = c.payload, p.tooLong || long
	}
	return p, nil
}

func cmpErr(err error) error {
	if err == nil {
		return errProtocol
	}
	return err
}

// kindOf is the name without an allocation.
func kindOf(b []byte) string {
	switch string(b) {
	case "message":
		return "message"
	case "smessage":
		return "smessage"
	}
	return string(b)
}

// line reads up to the end of a line.
func (c *conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("redislink: reading: %w", err)
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, errProtocol
	}
	return line[:len(line)-2], nil
}

// keptRoom is how much of a buffer that a long payload needed is kept for the next.
const keptRoom = 256 << 10

// bulk reads a string into room, or a number as nothing. What is longer than most is skipped.
func (c *conn) bulk(room []byte, most int) (text []byte, tooLong bool, err error) {
	line, err := c.line()
	if err != nil {
		return nil, false, err
	}
	if line[0] == ':' {
		return room[:0], false, nil
	}
	n, err := strconv.ParseInt(string(line[1:]), 10, 64)
	if line[0] != '$' || err != nil || n < -1 || n > 1<<40 {
		return nil, false, errProtocol
	}
	if n < 0 {
		return room[:0], false, nil
	}
	if n > int64(most) {
		for left := n + 2; left > 0; {
			some, err := c.r.Discard(int(min(left, 1<<20)))
			if err != nil {
				return nil, false, fmt.Errorf("redislink: reading: %w", err)
			}
			left -= int64(some)
			c.due = time.Time{}
		}
		return room[:0], true, nil
	}
	if cap(room) > keptRoom {
		room = nil
	}
	text, err = readFull(c.r, room[:0], int(n))
	if err != nil {
		return nil, false, fmt.Errorf("redislink: reading: %w", err)
	}
	if _, err := c.r.Discard(2); err != nil {
		return nil, false, fmt.Errorf("redislink: reading: %w", err)
	}
	return text, false, nil
}

// readFull reads n bytes, and makes room as they come.
func readFull(r io.Reader, room []byte, n int) ([]byte, error) {
	for len(room) < n {
		if len(room) == cap(room) {
			room = append(make([]byte, 0, min(n, max(4<<10, 4*cap(room)))), room...)
		}
		some, err := r.Read(room[len(room):min(n, cap(room))])
		room = room[:len(room)+some]
		if err != nil {
			return nil, err
		}
	}
	return room, nil
}
