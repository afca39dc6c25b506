package ws

import (
	"context"
	"slices"
	"sync"

	"baro.dev/ws/internal/deflate"
	"baro.dev/ws/internal/frame"
)

// PreparedMessage is a message to be sent over many connections. It is encoded, and compressed, once for each way in which they need
// it, and its bytes are shared by all of them. It may be used concurrently.
type PreparedMessage struct {
	typ   MessageType
	data  []byte    // of all of them, one behind the other, if there are several
	frame []byte    // for connections without compression
	parts []Message // if there are several
	plain bool      // it is never compressed
	sent  func()    // of OnSent

	mu         sync.Mutex
	compressed map[variant]packed
}

// variant is a way of compressing.
type variant struct{ level, bits int }

// packed is the message compressed: the payload, for clients to mask, and the frame of a server.
type packed struct{ payload, frame []byte }

// NewPreparedMessage prepares a message. data must not be changed any more. Text must be valid UTF-8.
func NewPreparedMessage(t MessageType, data []byte) (*PreparedMessage, error) {
	if err := checkMessage(t, data); err != nil {
		return nil, err
	}
	h := frame.Header{Opcode: frame.Opcode(t), Fin: true, Length: len(data)}
	encoded := h.Append(make([]byte, 0, frame.MaxHeaderSize+len(data)))
	return &PreparedMessage{typ: t, data: data, frame: append(encoded, data...)}, nil
}

// NewPreparedMessages prepares several messages that are sent as if they were one: nothing that others send comes between them,
// and either all of them are sent or none. Their data must not be changed any more.
func NewPreparedMessages(messages ...Message) (*PreparedMessage, error) {
	if len(messages) == 1 {
		return NewPreparedMessage(messages[0].Type, messages[0].Data)
	}
	size := 0
	for _, m := range messages {
		if err := checkMessage(m.Type, m.Data); err != nil {
			return nil, err
		}
		size += len(m.Data)
	}
	p := &PreparedMessage{
		data:  make([]byte, 0, size),
		frame: make([]byte, 0, size+len(messages)*frame.MaxHeaderSize),
		parts: slices.Clone(messages),
	}
	for _, m := range messages {
		h := frame.Header{Opcode: frame.Opcode(m.Type), Fin: true, Length: len(m.Data)}
		p.frame = append(h.Append(p.frame), m.Data...)
		p.data = append(p.data, m.Data...)
	}
	return p, nil
}

// OnSent has sent called each time that a Publish or a Multicast of the message is over for the connections of one event loop, or for those
// without one: their peers, or their queues, have it. It is for those who measure how long that takes. It may be called by the event loop
// and must not block. OnSent is to be called before the message is sent.
func (p *PreparedMessage) OnSent(sent func()) { p.sent = sent }

// Uncompressed returns a message like p that is sent without compression, whatever was agreed.
func (p *PreparedMessage) Uncompressed() *PreparedMessage {
	return &PreparedMessage{typ: p.typ, data: p.data, frame: p.frame, parts: p.parts, plain: true}
}

// packs reports whether p is compressed for a connection with d.
func (p *PreparedMessage) packs(d *deflation) bool {
	return d != nil && !p.plain && len(p.data) >= d.threshold
}

// Message returns the message, or the first of several. Its data must not be changed.
func (p *PreparedMessage) Message() Message {
	if len(p.parts) > 0 {
		return p.parts[0]
	}
	return Message{p.typ, p.data}
}

// pack returns the message compressed without context, which every inflater understands whatever came before.
func (p *PreparedMessage) pack(v variant) packed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.compressed[v]; ok {
		return c
	}
	var c packed
	if len(p.parts) == 0 {
		c.payload = deflate.Compress(nil, p.data, v.level, v.bits, nil)
		h := frame.Header{Opcode: frame.Opcode(p.typ), Fin: true, Compressed: true, Length: len(c.payload)}
		c.frame = append(h.Append(make([]byte, 0, frame.MaxHeaderSize+len(c.payload))), c.payload...)
	}
	for _, m := range p.parts {
		start := len(c.payload)
		c.payload = deflate.Compress(c.payload, m.Data, v.level, v.bits, nil)
		h := frame.Header{Opcode: frame.Opcode(m.Type), Fin: true, Compressed: true, Length: len(c.payload) - start}
		c.frame = append(h.Append(c.frame), c.payload[start:]...)
	}
	if p.compressed == nil {
		p.compressed = make(map[variant]packed)
	}
	p.compressed[v] = c
	return c
}

// SendPrepared is Send for a prepared message.
func (c *core) SendPrepared(p *PreparedMessage) error {
	return c.sendPrepared(waiting{policy: c.set.full}, p)
}

// WritePrepared is Write for a prepared message.
func (c *core) WritePrepared(ctx context.Context, p *PreparedMessage) error {
	return c.sendPrepared(waiting{ctx: ctx}, p)
}

func (c *core) sendPrepared(w waiting, p *PreparedMessage) error {
	if len(p.parts) > 0 {
		return c.sendParts(w, p)
	}
	h := frame.Header{Opcode: frame.Opcode(p.typ), Fin: true}
	d := c.deflate
	if !p.packs(d) {
		if c.client {
			return c.sendFrame(w, 0, h, p.data)
		}
		return c.sendShared(w, 0, p.frame)
	}
	size := len(p.data) + frame.MaxHeaderSize
	if err := c.reserve(w, size); err != nil {
		return err
	}
	if d.sent != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
	}
	v := p.pack(variant{d.level, d.sendBits})
	switch {
	case d.sent == nil && len(v.payload) >= len(p.data), d.sent != nil && d.streaming:
		return c.sendFrame(w, size, h, p.data)
	case d.sent != nil:
		// The peer's window moves on with every compressed message, whatever it was compressed with.
		d.sent.Write(p.data)
	}
	if c.client {
		h.Compressed = true
		return c.sendFrame(w, size, h, v.payload)
	}
	return c.sendShared(w, size, v.frame)
}

// sendParts sends several messages as one.
func (c *core) sendParts(w waiting, p *PreparedMessage) error {
	if c.client {
		// Each frame is masked with a key of its own.
		for _, m := range p.parts {
			if err := c.sendMessage(w, m.Type, m.Data, p.plain); err != nil {
				return err
			}
		}
		return nil
	}
	d := c.deflate
	if !p.packs(d) {
		return c.sendShared(w, 0, p.frame)
	}
	v := p.pack(variant{d.level, d.sendBits})
	if d.sent == nil && len(v.frame) >= len(p.frame) {
		return c.sendShared(w, 0, p.frame)
	}
	size := max(len(v.frame), len(p.frame))
	if err := c.reserve(w, size); err != nil {
		return err
	}
	if d.sent != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.streaming { // the window belongs to a Writer
			return c.sendShared(w, size, p.frame)
		}
		d.sent.Write(p.data)
	}
	return c.sendShared(w, size, v.frame)
}

// sendShared sends an encoded frame that nobody changes.
func (c *core) sendShared(w waiting, reserved int, encoded []byte) error {
	c.mu.Lock()
	c.giveBack(reserved)
	var err error
	if reserved == 0 {
		err = c.admit(w, len(encoded))
	} else {
		err = c.writable()
	}
	if err != nil {
		c.mu.Unlock()
		return err
	}
	if c.held != nil {
		c.held.share(encoded)
		c.mu.Unlock()
		return nil
	}
	if c.direct() {
		c.writeShared(encoded) // unlocks
		return nil
	}
	c.out.share(encoded)
	c.kick() // unlocks
	return nil
}
