package channel

// readBytes is how much is read from the archive at a time where the reader sets no bound.
const readBytes = 1 << 20

// readOlder reads from the archive what a reader has not seen. No lock is held: meanwhile messages may be published, and the
// archive may drop others. The batch is empty where the archive has nothing older than what is in memory, and the reader did
// not ask for a certain position.
func (c *channel) readOlder(from From, p place, maxBytes int) (Batch, error) {
	last := p.position
	none := Batch{Next: last}
	after := from.position.Offset
	switch from.kind {
	case fromLast:
		after = last.Offset - 1
	case fromOldest:
		saved, err := c.hub.loadSaved(c.name, Keep{})
		if err != nil || saved.Epoch != last.Epoch || saved.Count == 0 {
			return none, err
		}
		after = saved.Offset - uint64(min(saved.Count, c.settings.Load().kept()))
	}
	if maxBytes <= 0 {
		maxBytes = readBytes
	}
	messages, err := c.hub.readSaved(c.name, last.Epoch, after, maxBytes)
	if err != nil {
		return Batch{}, err
	}
	messages = c.readable(messages, after, last, from.kind == fromOldest)
	if len(messages) == 0 {
		if from.kind != fromAfter {
			return none, nil
		}
		return Batch{}, c.notRecoverable(from.position, last)
	}
	next := messages[len(messages)-1].Position()
	return Batch{Messages: messages, Next: next, More: next.Offset < last.Offset}, nil
}

// readable is those of messages that may be read: without gaps, not beyond last, since others may be saved and not yet
// published, and none past its age. Where one of them is, there are none, or but the others.
func (c *channel) readable(messages []*Message, after uint64, last Position, others bool) []*Message {
	s := c.settings.Load()
	now := c.hub.now()
	for i, m := range messages {
		if m.Epoch != last.Epoch || m.Offset != after+1+uint64(i) || m.Offset > last.Offset {
			messages = messages[:i]
			break
		}
	}
	for len(messages) > 0 && now.Sub(messages[0].Time) >= s.HistoryAge && !(s.KeepLast && messages[0].Offset == last.Offset) {
		if !others {
			return nil
		}
		messages = messages[1:]
	}
	return messages
}

func (c *channel) notRecoverable(after, last Position) error {
	saved, err := c.hub.loadSaved(c.name, Keep{})
	if err != nil {
		return err
	}
	return &NotRecoverableError{Channel: c.name, After: after, Last: last, Kept: min(saved.Count, c.settings.Load().kept())}
}
