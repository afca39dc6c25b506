package channel

import "time"

// Options is how a [Hub] is set up. A zero field means the default, which is given with it.
type Options struct {
	// Rules say what holds for the channels that match their patterns; the first that matches holds. None. What they leave
	// open, and all other channels, are as the options below say. [Hub.SetRules] replaces them, [Hub.SetOptions] also
	// the bounds below.
	Rules []Rule
	// Store keeps what is published beyond memory and beyond the life of the process; [Hub.Close] closes it. None.
	Store Store
	// Broker has the channels be those of all hubs that share it, in place of a Store; [Hub.Close] closes it. None.
	Broker Broker
	// Peers has presence be that of the hubs of many processes. None.
	Peers Peers
	// OnOccupied is called when a channel gets its first subscriber and when it loses its last, for one channel in order.
	// It must neither block nor call the hub. None.
	OnOccupied func(name string, occupied bool)

	// HistoryCount is how many messages a channel keeps. 1000. Negative: none; nothing can be recovered then, and
	// nothing be polled.
	HistoryCount int
	// HistoryBytes is how many bytes of messages a channel keeps. 4 MiB. A message is counted with its event and id,
	// and about 200 bytes for itself; so is its idempotency key, which does not count here but in MaxBytes.
	HistoryBytes int64
	// HistoryAge is how long a message is kept, and how long a channel that nobody uses is remembered. 5 minutes.
	HistoryAge time.Duration
	// MaxChannels is how many channels there may be. 100,000. At the bound the channel that was idle for longest makes
	// room for a new one; where none is idle, what would make a new one is refused with [ErrTooManyChannels].
	MaxChannels int
	// MaxBytes is how many bytes the histories of all channels may take. 256 MiB. Beyond it the channels that were idle
	// for longest vanish; where none is idle, the one published to gives up its oldest messages. With a store or a broker it is
	// but memory that they vanish from.
	MaxBytes int64
	// MaxMessageBytes is how long the data of a message may be. 256 KiB.
	MaxMessageBytes int
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	setDefault(&d.HistoryCount, 1000)
	setDefault(&d.HistoryBytes, 4<<20)
	setDefault(&d.HistoryAge, 5*time.Minute)
	setDefault(&d.MaxChannels, 100_000)
	setDefault(&d.MaxBytes, 256<<20)
	setDefault(&d.MaxMessageBytes, 256<<10)
	return d
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
