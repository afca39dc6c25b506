package channels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
)

// maxProgramOutput is how much a program may say, in bytes.
const maxProgramOutput = 1 << 20

// programGrace is how long a program that was told to end may take.
const programGrace = 2 * time.Second

// run runs a program, without a shell, and gives what it writes. What it writes to its error output goes to notes, or becomes the error.
func run(ctx context.Context, program, argument string, env []string, input []byte, stderr io.Writer) ([]byte, error) {
	c := exec.CommandContext(ctx, program, argument)
	c.Env = append(os.Environ(), env...)
	c.Stdin = bytes.NewReader(input)
	out := &bounded{left: maxProgramOutput}
	c.Stdout, c.Stderr = out, stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = programGrace
	err := c.Run()
	switch {
	case err == nil && out.more:
		err = fmt.Errorf("it has written more than %d bytes", maxProgramOutput)
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // it has ended, and left its output to another
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return out.Bytes(), nil
}

// bounded keeps the beginning of what is written.
type bounded struct {
	bytes.Buffer
	left int
	more bool
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.more = b.more || n < len(p)
	b.Buffer.Write(p[:n])
	return len(p), nil
}

// answerBy answers calls by a program: it gets the method as its argument and the data on its standard input, and its output is the
// answer, JSON or else text. One that fails refuses the call, in the words of the first line that it writes to its error output.
func answerBy(program string) func(context.Context, client.Call) (any, error) {
	return func(ctx context.Context, call client.Call) (any, error) {
		said := &bounded{left: maxReason}
		out, err := run(ctx, program, call.Method, []string{"BARO_CALL_ID=" + call.ID, "BARO_CALL_METHOD=" + call.Method}, call.Data, said)
		if err != nil {
			reason, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
			if reason == "" {
				reason = err.Error()
			}
			return nil, &client.Error{Code: "failed", Message: strings.ToValidUTF8(reason, "\uFFFD")}
		}
		out = bytes.TrimSpace(out)
		if len(out) > 0 && json.Valid(out) {
			return json.RawMessage(out), nil
		}
		return strings.ToValidUTF8(string(out), "\uFFFD"), nil
	}
}

// maxReason is how long the reason of a refusal may be, in bytes.
const maxReason = 1 << 10

// handBy gives a message to a program: the channel as its argument, the data on its standard input.
func (s *Subscriber) handBy(ctx context.Context, name string, m *channel.Message) error {
	out, err := run(ctx, s.OnMessage, name, []string{
		"BARO_MESSAGE_CHANNEL=" + name, "BARO_MESSAGE_POSITION=" + m.Position().String(), "BARO_MESSAGE_OFFSET=" + strconv.FormatUint(m.Offset, 10),
		"BARO_MESSAGE_ID=" + m.ID, "BARO_MESSAGE_EVENT=" + m.Event, "BARO_MESSAGE_USER=" + m.User, "BARO_MESSAGE_BINARY=" + strconv.FormatBool(m.Binary),
	}, m.Data, s.Errors)
	if err != nil {
		return fmt.Errorf("the message %v of %s: %w", m.Position(), name, err)
	}
	_, err = s.Out.Write(out)
	return err
}
