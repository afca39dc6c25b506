package channels

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"baro.dev/channel"
)

// A Kind is what the data of messages is.
type Kind int

// The kinds.
const (
	Text   Kind = iota // UTF-8
	JSON               // checked, and published as text
	Binary             // bytes
)

// MaxInput is how long a message may be that is read, in bytes: the longest that the API takes in one request.
const MaxInput = 16 << 20

// A Draft is a message that is to be published, in each of the channels.
type Draft struct {
	Channels []string
	Kind     Kind
	Event    string
	ID       string
	// Key is the idempotency key. Where there are many messages it is followed by a slash and the number of the line.
	Key string
	// Exclude is a client that does not get the message.
	Exclude string
}

// validate finds what the server would refuse, before anything is read.
func (d *Draft) validate() error {
	if len(d.Channels) == 0 {
		return errors.New("no channel is named")
	}
	for _, name := range d.Channels {
		if err := channel.ValidateName(name); err != nil {
			return fmt.Errorf("the channel %q: %w", name, err)
		}
	}
	m := channel.Message{Event: d.Event, ID: d.ID, Key: d.Key}
	return m.Validate()
}

// check says whether data is of the kind; JSON becomes compact.
func (k Kind) check(data []byte) ([]byte, error) {
	switch {
	case k == JSON:
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			return nil, fmt.Errorf("it is not JSON: %w", err)
		}
		return compact.Bytes(), nil
	case k == Text && !utf8.Valid(data):
		return nil, errors.New("it is not UTF-8; --binary publishes bytes")
	}
	return data, nil
}

// outgoing is a message of a batch.
type outgoing struct {
	Channel string  `json:"channel"`
	Data    *string `json:"data,omitempty"`
	Base64  *string `json:"base64,omitempty"`
	Event   string  `json:"event,omitempty"`
	ID      string  `json:"id,omitempty"`
	Key     string  `json:"key"`
	Exclude string  `json:"exclude,omitempty"`

	line int // of the input, from 1; 0: it is the only message
	data []byte
}

// messages are those for all channels of one line.
func (d *Draft) messages(data []byte, line int) []outgoing {
	m := outgoing{Event: d.Event, ID: d.ID, Key: d.Key, Exclude: d.Exclude, line: line, data: data}
	if line > 0 {
		m.Key = fmt.Sprintf("%s/%d", d.Key, line)
	}
	text := string(data)
	if d.Kind == Binary {
		text = base64.StdEncoding.EncodeToString(data)
		m.Base64 = &text
	} else {
		m.Data = &text
	}
	all := make([]outgoing, len(d.Channels))
	for i, name := range d.Channels {
		all[i] = m
		all[i].Channel = name
	}
	return all
}

// ReadAll reads one message. The error says so if it is longer than MaxInput.
func ReadAll(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, MaxInput+1))
	if err == nil && len(data) > MaxInput {
		err = errTooLong
	}
	return data, err
}

var errTooLong = fmt.Errorf("the message is longer than %d MiB", MaxInput>>20)

// A line of the input.
type line struct {
	data   []byte
	number int // from 1
}

// chunk is lines that came together, and why there are no more: io.EOF where all is well.
type chunk struct {
	lines []line
	err   error
}

// readAhead is how many bytes of short lines may make one chunk.
const readAhead = 256 << 10

// chunks reads the lines of in until it ends. The goroutine that reads ends with ctx, or when in does.
func chunks(ctx context.Context, in io.Reader, kind Kind) <-chan chunk {
	all := make(chan chunk)
	go func() {
		defer close(all)
		r := bufio.NewReaderSize(in, readAhead)
		for n := 1; ; {
			var c chunk
			c.lines, c.err = readLines(r, n, kind)
			n += len(c.lines)
			select {
			case all <- c:
			case <-ctx.Done():
				return
			}
			if c.err != nil {
				return
			}
		}
	}()
	return all
}

// readLines waits for a line, and reads those that have come with it.
func readLines(r *bufio.Reader, number int, kind Kind) (all []line, err error) {
	for len(all) < maxBatch {
		data, err := readLine(r)
		if len(data) > 0 || err == nil {
			data = bytes.TrimSuffix(data, []byte("\n"))
			if kind != Binary {
				data = bytes.TrimSuffix(data, []byte("\r"))
			}
			all = append(all, line{data, number})
			number++
		}
		if err != nil {
			return all, err
		}
		if ahead, _ := r.Peek(r.Buffered()); !bytes.Contains(ahead, []byte("\n")) {
			break
		}
	}
	return all, nil
}

// readLine reads a line with its end. What is before the end of the input is a line, too. One that is longer than MaxInput is an error.
func readLine(r *bufio.Reader) (data []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(data)+len(part) > MaxInput {
			return nil, errTooLong
		}
		data = append(data, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return data, err
		}
	}
}
