package redisbus

// Settled says whether Redis has confirmed all that is listened for.
func (b *Bus) Settled() bool { return b.sub.Settled() }
