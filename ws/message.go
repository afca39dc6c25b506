package ws

import "baro.dev/ws/internal/frame"

// MessageType says whether a message is text or binary (RFC 6455 5.6).
type MessageType byte

const (
	// Text is a message of UTF-8 text. A text message that is not valid UTF-8 fails the connection with
	// StatusInvalidPayload, whichever side sends it.
	Text = MessageType(frame.Text)
	// Binary is a message of arbitrary bytes.
	Binary = MessageType(frame.Binary)
)

func (t MessageType) String() string {
	switch t {
	case Text:
		return "text"
	case Binary:
		return "binary"
	}
	return "invalid message type"
}

// Message is a whole message, its fragments joined and inflated.
type Message struct {
	Type MessageType
	// Data is the payload. Whoever hands out a Message says who owns it and until when.
	Data []byte
}

// String returns the payload as a string.
func (m Message) String() string { return string(m.Data) }
