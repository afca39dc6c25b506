package channel

import (
	"fmt"
	"time"
)

// A Rule is what holds for the channels whose names match a pattern. Of several that match the first holds.
type Rule struct {
	Pattern Pattern
	Settings
}

// Settings are what holds for a channel. A zero number means what [Options] says.
type Settings struct {
	// HistoryCount is how many messages the channel keeps. Negative: none, and a store is not told of any. Where rules
	// are replaced, a channel that had none and is to have some begins anew, with another epoch, so that the store has
	// no gap.
	HistoryCount int
	// HistoryBytes is how many bytes of messages the channel keeps; see [Options.HistoryBytes].
	HistoryBytes int64
	// HistoryAge is how long a message is kept, and how long a channel that nobody uses is remembered.
	HistoryAge time.Duration
	// MaxMessageBytes is how long the data of a message may be.
	MaxMessageBytes int
	// KeepLast has the newest message kept whatever its age, and where HistoryCount says none: [Settings.Newcomer] begins
	// with it. Only where the bytes of all histories are at their bound it goes with the others.
	KeepLast bool
	// Presence has those who want it told who joins and who leaves: see [PresenceSubscriber].
	Presence bool
	// NoEcho keeps what a connection publishes from coming back to it.
	NoEcho bool
}

// Newcomer is where a reader begins who has seen nothing and asks for nothing: [Last] where the channel keeps its last
// message, else [Now].
func (s *Settings) Newcomer() From {
	if s.KeepLast {
		return Last()
	}
	return Now()
}

// stored says whether a store is told of the messages.
func (s *Settings) stored() bool { return s.HistoryCount > 0 }

// kept is how many messages are kept at most.
func (s *Settings) kept() int {
	if s.KeepLast {
		return max(s.HistoryCount, 1)
	}
	return max(s.HistoryCount, 0)
}

// keep is what the archive is to keep.
func (s *Settings) keep() Keep {
	return Keep{Count: s.kept(), Bytes: s.HistoryBytes, Age: s.HistoryAge, Last: s.KeepLast}
}

// ValidateRules says whether a hub takes the rules: each needs a pattern, and no bytes and no age may be negative. The
// error is an [*InvalidError].
func ValidateRules(rules []Rule) error {
	for i, r := range rules {
		reason := ""
		switch {
		case r.Pattern.String() == "":
			reason = "it has no pattern"
		case r.HistoryBytes < 0:
			reason = "its history bytes are negative"
		case r.HistoryAge < 0:
			reason = "its history age is negative"
		case r.MaxMessageBytes < 0:
			reason = "its message bytes are negative"
		}
		if reason != "" {
			return &InvalidError{What: "channel rule", Reason: fmt.Sprintf("rule %d (%s): %s", i+1, r.Pattern, reason)}
		}
	}
	return nil
}

// rules is a set of rules with the defaults filled in, and the bounds of the hub. It never changes: channels point into it.
type rules struct {
	bounds       Options // those of it that may be replaced
	list         []Rule
	defaults     Settings // where no rule matches
	leastAge     time.Duration
	leastMessage int // what is not longer is not too long for any channel
}

func newRules(list []Rule, o *Options) *rules {
	r := &rules{
		bounds: Options{
			HistoryCount: o.HistoryCount, HistoryBytes: o.HistoryBytes, HistoryAge: o.HistoryAge,
			MaxChannels: o.MaxChannels, MaxBytes: o.MaxBytes, MaxMessageBytes: o.MaxMessageBytes,
		},
		list: append([]Rule(nil), list...),
		defaults: Settings{
			HistoryCount:    o.HistoryCount,
			HistoryBytes:    o.HistoryBytes,
			HistoryAge:      o.HistoryAge,
			MaxMessageBytes: o.MaxMessageBytes,
		},
		leastAge:     o.HistoryAge,
		leastMessage: o.MaxMessageBytes,
	}
	for i := range r.list {
		s := &r.list[i].Settings
		setDefault(&s.HistoryCount, o.HistoryCount)
		setDefault(&s.HistoryBytes, o.HistoryBytes)
		setDefault(&s.HistoryAge, o.HistoryAge)
		setDefault(&s.MaxMessageBytes, o.MaxMessageBytes)
		r.leastAge = min(r.leastAge, s.HistoryAge)
		r.leastMessage = min(r.leastMessage, s.MaxMessageBytes)
	}
	return r
}

func (r *rules) of(name string) *Settings {
	for i := range r.list {
		if r.list[i].Pattern.Match(name) {
			return &r.list[i].Settings
		}
	}
	return &r.defaults
}

// SettingsOf says what holds for the channel called name, whether or not it exists.
func (h *Hub) SettingsOf(name string) Settings {
	return *h.rules.Load().of(name)
}

// SetRules replaces the rules. Channels that live take them over at once: what they keep beyond the new bounds goes. The
// error is that of [ValidateRules], and nothing has changed then. The slice is not kept.
func (h *Hub) SetRules(list []Rule) error {
	if err := ValidateRules(list); err != nil {
		return err
	}
	h.reloading.Lock()
	defer h.reloading.Unlock()
	h.replace(newRules(list, &h.rules.Load().bounds))
	return nil
}

// SetOptions replaces the rules, as [Hub.SetRules] does, and the bounds; nil has the defaults. Store, Broker, Peers and OnOccupied remain what they
// were.
// Where there is more than the new bounds permit, it goes by and by.
func (h *Hub) SetOptions(o *Options) error {
	d := o.withDefaults()
	if err := ValidateRules(d.Rules); err != nil {
		return err
	}
	h.reloading.Lock()
	defer h.reloading.Unlock()
	h.replace(newRules(d.Rules, &d))
	return nil
}

// replace has r hold from now on. reloading is held.
func (h *Hub) replace(r *rules) {
	h.mu.Lock()
	h.rules.Store(r) // under mu: a channel that is made has either these rules, or is among all
	h.mu.Unlock()
	now := h.now()
	for _, c := range h.all() {
		c.mu.Lock()
		c.settings.Store(r.of(c.name))
		c.enter()
		c.trim(now)
		c.mu.Unlock()
	}
}

// checkSize says whether the channel called name takes a message of this many bytes.
func (h *Hub) checkSize(name string, size int) error {
	r := h.rules.Load()
	if size <= r.leastMessage {
		return nil
	}
	if limit := r.of(name).MaxMessageBytes; size > limit {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, size, limit)
	}
	return nil
}
