package parser

// A Codec turns packets into messages of Engine.IO and back. [JSON] is the default one. A codec has no state and may be
// used by any number of goroutines; it is comparable, so that what it encoded can be kept by codec.
type Codec interface {
	// Encode appends the messages of p to dst: one, and one for each attachment. Their bytes are fresh, or those of
	// received packets, shared with nobody who changes them; the []byte in p are copied. If buf is not nil, what would be
	// fresh is appended to *buf instead, which is used again when the messages have been sent. The messages of one packet
	// must be sent together, with nothing between. What cannot be encoded is an [*ArgumentError] or an [*Error].
	Encode(dst []Message, buf *[]byte, p *Packet) ([]Message, error)

	// AppendArgument gives the messages of an encoded event or acknowledgement with one argument more, without
	// encoding the others again: connection state recovery adds the offset of an event like that. The first message is
	// a new one, encoded stays as it is, and the attachments are shared by both.
	AppendArgument(encoded []Message, argument string) ([]Message, error)

	// Peek tells from the first message of a packet its type and how many attachments follow it as messages, and
	// checks nothing else. It does not allocate. ok is false if that message begins no packet.
	Peek(binary bool, data []byte) (t Type, attachments int, ok bool)

	// NewDecoder returns the decoder for one connection; nil limits are the default ones. limits is not copied.
	NewDecoder(limits *Limits) Decoder
}

// A Decoder puts the packets of one connection together. It is not for concurrent use. While no attachment is due it
// holds no bytes.
type Decoder interface {
	// Add takes the next message, and reports whether it completes a packet, which is put into p then; otherwise attachments
	// are still due. data is only read until Add returns, and p kept by nobody. The error is an [*Error]: what came breaks the
	// protocol, the connection is to be closed, and the decoder has forgotten what was pending. If there is no packet, *p is
	// not to be used.
	Add(p *Packet, binary bool, data []byte) (complete bool, err error)

	// Due returns how many attachments are due.
	Due() int
}

// Limits bound what one packet may take. The transport bounds each message, so that a pending packet never holds more
// than 1 + MaxAttachments times that.
type Limits struct {
	// MaxAttachments is how many binary attachments a packet may have. 0 means 10, the default of the official parser;
	// negative means none.
	MaxAttachments int
	// MaxBytes is how many bytes a packet may have with its attachments. 0 means no bound but that of the transport.
	MaxBytes int
}

// DefaultMaxAttachments is what [Limits] means by 0.
const DefaultMaxAttachments = 10

func (l *Limits) attachments() int {
	switch {
	case l == nil || l.MaxAttachments == 0:
		return DefaultMaxAttachments
	case l.MaxAttachments < 0:
		return 0
	}
	return l.MaxAttachments
}

// Check returns an [*Error] that matches [ErrTooLarge] if a packet of so many bytes is larger than allowed. l may be nil.
func (l *Limits) Check(bytes int) error {
	if l != nil && l.MaxBytes > 0 && bytes > l.MaxBytes || uint64(bytes) > maxMessage {
		return &Error{Part: PartMessage, Offset: -1, Reason: "the packet is larger than allowed", Err: ErrTooLarge}
	}
	return nil
}

// maxMessage: offsets in a packet are kept in 32 bits.
const maxMessage = 1<<32 - 1

// A Format is how a codec writes values. Whoever writes a codec implements it, nobody else needs it.
// It never changes; two formats are the same one if they are at the same address.
type Format struct {
	// Next finds the first value at or after offset from of raw, which holds values of this format that were checked,
	// one behind the other.
	Next func(raw string, from int) (start, end int)

	// AppendJSON appends a value of this format as JSON.
	AppendJSON func(t *Text, value string) error

	text   bool      // that of the default codec
	base   uint32    // where the value begins in what the places of binary refer to
	binary *binaries // of the packet; nil if it has none
	given  bool      // none: value is one of Go
	value  any
}
