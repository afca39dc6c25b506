package connect

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"baro.dev/internal/cli/connection"
)

// inputSize is how much of the input is read at a time, in bytes.
const inputSize = 64 << 10

// input makes messages of lines.
type input struct {
	o      *Options
	events bool // a line may be an event of Socket.IO
	send   func(ctx context.Context, m connection.Message) error
	cork   func()
	loose  func() // ends cork
	acked  func(arguments []byte, err error)
	most   int // bytes of a line
	line   int
	given  bool // what is sent are Options.Messages, not lines
	buf    []byte
}

// run sends what r has, line by line, to its end. What it holds in memory is bounded by the longest line.
func (in *input) run(ctx context.Context, r io.Reader) error {
	end := byte('\n')
	if in.o.Null {
		end = 0
	}
	var part []byte // of a line
	block := make([]byte, inputSize)
	for {
		n, err := r.Read(block)
		rest := block[:n]
		in.cork()
		for {
			line, behind, whole := bytes.Cut(rest, []byte{end})
			if !whole {
				break
			}
			rest = behind
			if len(part) > 0 {
				part = append(part, line...)
				line = part
			}
			if err := in.take(ctx, line); err != nil {
				in.loose()
				return err
			}
			part = part[:0]
		}
		in.loose()
		part = append(part, rest...)
		if len(part) > in.most {
			return in.tooLong()
		}
		switch {
		case err == io.EOF && len(part) > 0:
			return in.take(ctx, part)
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading the input: %w", err)
		}
	}
}

// wrong names the line, or the message.
func (in *input) wrong(err error) error {
	if in.given {
		return fmt.Errorf("--message %d: %w", in.line+1, err)
	}
	return fmt.Errorf("line %d of the input: %w", in.line+1, err)
}

func (in *input) tooLong() error {
	return in.wrong(fmt.Errorf("it has more than %d bytes: --max-message permits more", in.most))
}

// say sends a message that is given in place of the input, in the form that a line of that has.
func (in *input) say(ctx context.Context, text string) error {
	in.given = true
	err := in.pass(ctx, []byte(text))
	if errors.Is(err, errNoObject) {
		err = fmt.Errorf(`%w (with --json a message is an object, as {"data":"text"})`, err)
	}
	return err
}

func (in *input) take(ctx context.Context, line []byte) error {
	if !in.o.Null {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	return in.pass(ctx, line)
}

func (in *input) pass(ctx context.Context, line []byte) error {
	if len(line) > in.most {
		return in.tooLong()
	}
	m, err := in.message(line)
	if err != nil {
		return in.wrong(err)
	}
	if err := in.send(ctx, m); err != nil {
		if errors.Is(err, connection.ErrMessage) {
			err = in.wrong(err)
		}
		return err
	}
	in.line++
	return nil
}

func (in *input) message(line []byte) (connection.Message, error) {
	switch in.o.Format {
	case Binary:
		return connection.Message{Kind: connection.Binary, Data: line}, nil
	case Base64:
		var err error
		in.buf, err = base64.StdEncoding.AppendDecode(in.buf[:0], line)
		return connection.Message{Kind: connection.Binary, Data: in.buf}, err
	case Hex:
		var err error
		in.buf, err = hex.AppendDecode(in.buf[:0], line)
		return connection.Message{Kind: connection.Binary, Data: in.buf}, err
	case JSON:
		return in.object(line)
	}
	if !utf8.Valid(line) {
		return connection.Message{}, errors.New("it is not UTF-8, which text has to be: --binary sends bytes")
	}
	if len(line) > 0 && line[0] == '[' && in.events {
		if m, ok := event(line); ok {
			return m, nil
		}
	}
	return connection.Message{Data: line}, nil
}

// event is an event of Socket.IO as it is written: ["name",argument...].
func event(line []byte) (connection.Message, bool) {
	var all []json.RawMessage
	var name string
	if json.Unmarshal(line, &all) != nil || len(all) == 0 || json.Unmarshal(all[0], &name) != nil {
		return connection.Message{}, false
	}
	arguments, err := json.Marshal(all[1:])
	return connection.Message{Kind: connection.Event, Event: name, Data: arguments}, err == nil
}

var errNoObject = errors.New("it is no object of JSON")

// noObject says what is wrong with JSON, in its own words.
func noObject(err error) error {
	kind, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case !ok:
		return fmt.Errorf("%w: %w", errNoObject, err)
	case kind.Field == "":
		return fmt.Errorf("%w, but %s", errNoObject, kind.Value)
	}
	return fmt.Errorf("its %q cannot be %s", kind.Field, kind.Value)
}

// object is a message as JSON has it.
func (in *input) object(line []byte) (connection.Message, error) {
	var o struct {
		Data   *string         `json:"data"`
		Base64 *string         `json:"base64"`
		Event  string          `json:"event"`
		Args   json.RawMessage `json:"args"`
		Ack    bool            `json:"ack"`
	}
	if err := json.Unmarshal(line, &o); err != nil {
		return connection.Message{}, noObject(err)
	}
	m := connection.Message{Event: o.Event}
	n := 0
	if o.Data != nil {
		m.Data = []byte(*o.Data)
		n++
	}
	if o.Base64 != nil {
		data, err := base64.StdEncoding.DecodeString(*o.Base64)
		if err != nil {
			return m, fmt.Errorf("its base64: %w", err)
		}
		m.Kind, m.Data = connection.Binary, data
		n++
	}
	if o.Args != nil {
		m.Kind, m.Data = connection.Event, o.Args
		n++
	}
	if n != 1 {
		return m, errors.New(`it must have one of "data", "base64" and "args"`)
	}
	if o.Ack {
		m.Acked = in.acked
	}
	return m, nil
}
