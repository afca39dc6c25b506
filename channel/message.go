package channel

import (
	"time"
	"unicode/utf8"
)

// Limits of what a publisher may choose.
const (
	MaxNameBytes  = 255 // of a channel's name
	MaxEventBytes = 128 // of Message.Event
	MaxIDBytes    = 128 // of Message.ID
	MaxKeyBytes   = 128 // of Message.Key
	MaxUserBytes  = 128 // of Message.User and Member.User
)

// A Message is what is published in a channel. The publisher chooses Data, Binary, Event, ID, Key and Exclude; User and
// Sender are whom whoever calls the hub knows it to be; the hub sets the rest.
//
// A published message is shared by everybody who reads the channel and kept in its history: neither it nor the bytes of
// Data may be changed any more, by anyone.
type Message struct {
	// Offset counts the messages of the channel, from 1.
	Offset uint64
	// Epoch is the life of the channel that Offset counts in.
	Epoch string
	// Time is when the message was published, by the clock of this process, or of the broker.
	Time time.Time
	// ID names the message, as the publisher likes: 1 to [MaxIDBytes] bytes of UTF-8 without control characters. Where
	// the publisher gives none, it is the message's position in its written form.
	ID string
	// Event tells kinds of messages apart. Empty is the usual kind; else up to [MaxEventBytes] bytes of UTF-8 without
	// control characters. Names that begin with "baro." or end in ";base64" are the transports' own and are refused.
	Event string
	// Data is the content. It is UTF-8 unless Binary is set.
	Data []byte
	// Binary says that Data is bytes, not text.
	Binary bool
	// Exclude says that the subscriber whose connection is Sender does not get the message. [Settings.NoEcho] sets it.
	Exclude bool

	// User is who published, up to [MaxUserBytes] bytes of UTF-8 without control characters; empty where that is not
	// known. A server that takes an envelope from a client must set it, whatever the envelope says.
	User string
	// Key is the idempotency key: a message with the key of an earlier one of the channel is not published, and the
	// publisher gets the position of the earlier one; see [KeyAge]. Empty, or up to [MaxKeyBytes] bytes of UTF-8 without
	// control characters. It is not in the envelope.
	Key string
	// Sender is the connection that published: the Client of its [Member]. It is not in the envelope.
	Sender string

	sharing *sharing
}

// Position is where the message stands in its channel: what a reader that has seen it gives to [After].
func (m *Message) Position() Position {
	return Position{Epoch: m.Epoch, Offset: m.Offset}
}

// HiddenFrom says whether the message is not to be delivered to a connection: whoever delivers what [Hub.Read] gives asks it.
// Subscriptions made by [Hub.Join] do so themselves.
func (m *Message) HiddenFrom(client string) bool {
	return m.Exclude && client != "" && m.Sender == client
}

// messageOverhead is about what a kept message takes beside its own bytes: the struct and its place in the history.
const messageOverhead = 200

// size is what the message takes in memory, about.
func (m *Message) size() int64 {
	return int64(len(m.Data) + len(m.ID) + len(m.Event) + len(m.User) + len(m.Key) + messageOverhead)
}

// Validate says whether m may be published, but for the length of its data, which is the channel's matter. The error is an
// [*InvalidError]. A broker asks it of what comes from elsewhere.
func (m *Message) Validate() error {
	if !m.Binary && !utf8.Valid(m.Data) {
		return &InvalidError{What: "message", Reason: "a text message must be valid UTF-8; publish other bytes as binary"}
	}
	if err := validateEvent(m.Event); err != nil {
		return err
	}
	if err := validateWord("message id", m.ID, MaxIDBytes); err != nil {
		return err
	}
	if err := validateWord("user", m.User, MaxUserBytes); err != nil {
		return err
	}
	return validateWord("idempotency key", m.Key, MaxKeyBytes)
}
