package interactive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/terminal"
)

// A command is what a line does that begins with its name.
type command struct {
	name, arguments, help string
	run                   func(s *session, ctx context.Context, argument string) error
	complete              func(s *session, argument string) (from int, all []terminal.Completion)
}

// commands are all of them, in the order of the help.
func commands() []command {
	return []command{
		{"/send", "TEXT|@FILE", "send a text, also one that begins with a slash", (*session).sendText, completeFile},
		{"/send-binary", "HEX|BASE64|@FILE", "send bytes; hex: and base64: before them say which it is", (*session).sendBinary, completeFile},
		{"/multi", "", "write a message of several lines; a line with a dot ends it", (*session).multi, nil},
		{"/emit", "EVENT [JSON...]", "emit an event of Socket.IO; what is no JSON is a word", (*session).emit, (*session).completeEvent},
		{"/call", "EVENT [JSON...]", "emit it, and show the acknowledgement", (*session).call, (*session).completeEvent},
		{"/ack", "[NUMBER] [JSON...]", "acknowledge an event: the newest, or the one of that number", (*session).acknowledge, nil},
		{"/ping", "", "ask how long the server takes to answer", (*session).pingNow, nil},
		{"/info", "", "tell what is known of the connection", (*session).info, nil},
		{"/json", "on|off", "show JSON with a line for each member, or as it came", toggle(func(s *session) *flag { return &s.pretty }), completeSwitch},
		{"/frames", "on|off", "show each frame of WebSocket", toggle(func(s *session) *flag { return &s.frames }), completeSwitch},
		{"/times", "on|off", "show when messages came", toggle(func(s *session) *flag { return &s.times }), completeSwitch},
		{"/save", "FILE", "write the last message that came into a new file", (*session).save, completePath},
		{"/token", "[TOKEN]", "say as whom to connect the next time; without it, it is asked for", (*session).setToken, nil},
		{"/clear", "", "empty the terminal", (*session).clear, nil},
		{"/close", "[CODE [REASON]]", "close the connection, and leave", (*session).closeNow, completeCode},
		{"/quit", "", "the same, in order", (*session).quit, nil},
		{"/help", "", "tell all this", (*session).help, nil},
	}
}

// entered does what a line says.
func (s *session) entered(ctx context.Context, line string) error {
	if line == "" {
		return nil
	}
	name, argument, _ := strings.Cut(line, " ")
	if name != "/token" {
		if err := s.typed.Add(line); err != nil {
			s.complain(fmt.Errorf("what is typed is not kept any more: %w", err))
		}
	}
	if !strings.HasPrefix(line, "/") {
		return s.sendTyped(line)
	}
	if strings.HasPrefix(line, "//") {
		return s.sendTyped(line[1:])
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(s, ctx, strings.TrimSpace(argument))
		}
	}
	return fmt.Errorf("there is no command %s; /help tells those there are, and /send sends a text that begins with a slash", name)
}

// commandStyle is how a line looks that is a command.
func commandStyle(line string) terminal.Style {
	if !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "//") {
		return ""
	}
	name, _, more := strings.Cut(line, " ")
	for _, c := range commands() {
		if c.name == name || !more && strings.HasPrefix(c.name, name) {
			return terminal.Blue
		}
	}
	return terminal.Red
}

// sendTyped sends a text: to Socket.IO as the event that its clients' send emits.
func (s *session) sendTyped(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("not sent: the text is not UTF-8")
	}
	if s.conn.Info().Protocol == connection.SocketIO {
		return s.post(connection.Message{Kind: connection.Event, Event: "message", Data: quoted(text)}, nil)
	}
	return s.post(connection.Message{Kind: connection.Text, Data: []byte(text)}, nil)
}

func (s *session) sendText(_ context.Context, argument string) error {
	if strings.HasPrefix(argument, "@") {
		b, err := readFile(argument[1:])
		if err != nil {
			return err
		}
		argument = string(b)
	}
	return s.sendTyped(argument)
}

func (s *session) sendBinary(_ context.Context, argument string) error {
	b, err := parseBinary(argument)
	if err != nil {
		return err
	}
	return s.post(connection.Message{Kind: connection.Binary, Data: b}, nil)
}

func (s *session) multi(context.Context, string) error {
	s.ui.SetMultiline(true)
	return nil
}

func (s *session) emit(_ context.Context, argument string) error {
	m, err := s.parseEvent(argument)
	if err != nil {
		return err
	}
	return s.post(m, nil)
}

// call emits, and shows the acknowledgement when it comes.
func (s *session) call(_ context.Context, argument string) error {
	m, err := s.parseEvent(argument)
	if err != nil {
		return err
	}
	since := time.Now()
	m.Acked = func(arguments []byte, err error) {
		if err != nil {
			s.complain(fmt.Errorf("no acknowledgement of %s: %w", m.Event, err))
			return
		}
		s.showMessage("<", terminal.Cyan, connection.Message{Kind: connection.Text, Event: m.Event + " (ack, " + roundDuration(time.Since(since)) + ")", Data: arguments, At: time.Now()}, 0)
	}
	return s.post(m, nil)
}

// parseEvent reads the name of an event and its arguments.
func (s *session) parseEvent(argument string) (connection.Message, error) {
	if p := s.conn.Info().Protocol; p != connection.SocketIO {
		return connection.Message{}, fmt.Errorf("events are of Socket.IO; this is %s", p)
	}
	name, rest, err := parseWord(argument)
	if err != nil {
		return connection.Message{}, err
	}
	if name == "" {
		return connection.Message{}, errors.New("which event? /emit EVENT [JSON...]")
	}
	arguments, err := parseArguments(rest)
	s.mu.Lock()
	s.seen(name)
	s.mu.Unlock()
	return connection.Message{Kind: connection.Event, Event: name, Data: arguments}, err
}

func (s *session) acknowledge(_ context.Context, argument string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.acks) == 0 {
		return errors.New("no event waits for an acknowledgement")
	}
	at := len(s.acks) - 1
	first, rest, _ := strings.Cut(argument, " ")
	for i, a := range s.acks {
		if first == strconv.Itoa(a.number) {
			at, argument = i, rest
			break
		}
	}
	arguments, err := parseArguments(argument)
	if err != nil {
		return err
	}
	a := s.acks[at]
	s.acks = append(s.acks[:at], s.acks[at+1:]...)
	s.background(func() { // which may have to wait for the server
		if err := a.answer(arguments); err != nil {
			s.complain(fmt.Errorf("acknowledgement %d: %w", a.number, err))
			return
		}
		s.showMessage(">", terminal.Green, connection.Message{Event: fmt.Sprintf("(ack %d)", a.number), Kind: connection.Text, Data: arguments, At: time.Now()}, 0)
	})
	return nil
}

func (s *session) pingNow(ctx context.Context, _ string) error {
	s.background(func() {
		d, err := s.ping(ctx)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, context.DeadlineExceeded):
			s.complain(fmt.Errorf("the server has not answered for %s", pingTimeout))
		case err != nil:
			s.complain(err)
		default:
			s.notice("The server answers after " + roundDuration(d) + ".")
		}
	})
	return nil
}

func (s *session) setToken(ctx context.Context, token string) error {
	if token == "" {
		var err error
		if token, err = s.ui.ReadSecret(ctx, "token: "); err != nil || token == "" {
			return err
		}
	}
	s.token.Store(&token)
	s.notice("The next connection is made with this token.")
	return nil
}

// save writes the last message into a file that is not there yet.
func (s *session) save(_ context.Context, name string) error {
	if name == "" {
		return errors.New("into which file? /save FILE")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.At.IsZero() {
		return errors.New("no message has come yet")
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(s.last.Data)
	if err = errors.Join(err, f.Close()); err == nil {
		s.notice(fmt.Sprintf("%s in %s.", count(len(s.last.Data), "byte"), terminal.SafeLine(name)))
	}
	return err
}

func (s *session) clear(context.Context, string) error {
	s.ui.Clear()
	return nil
}

// quitError is the end that /close or /quit asks for.
type quitError struct {
	code   int
	reason string
}

func (q *quitError) Error() string { return "quit" }

func (s *session) quit(context.Context, string) error { return &quitError{code: 1000} }

func (s *session) closeNow(_ context.Context, argument string) error {
	if argument == "" {
		return &quitError{code: 1000}
	}
	number, reason, _ := strings.Cut(argument, " ")
	code, err := strconv.Atoi(number)
	if err != nil || code < 1000 || code > 4999 {
		return fmt.Errorf("%s is no close code: it is from 1000 to 4999", number)
	}
	reason = strings.TrimSpace(reason)
	if len(reason) > 123 { // RFC 6455 5.5: 125 bytes of payload, two of them the code
		return fmt.Errorf("the reason has %d bytes, 123 are possible", len(reason))
	}
	return &quitError{code, reason}
}
