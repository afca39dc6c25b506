package channel

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func isInvalid(err error) bool { return errors.Is(err, ErrInvalid) }

func TestRules(t *testing.T) {
	h := NewHub(&Options{HistoryCount: 5, MaxMessageBytes: 100, Rules: []Rule{
		{pattern("rooms/*"), Settings{HistoryCount: 2, MaxMessageBytes: 10, Presence: true}},
		{pattern("rooms/**"), Settings{HistoryCount: 3, HistoryAge: time.Hour}},
		{pattern("big"), Settings{MaxMessageBytes: 1000}},
		{pattern("none"), Settings{HistoryCount: -1}},
	}})
	for name, want := range map[string]int{"rooms/1": 2, "rooms/1/2": 3, "rooms": 5, "none": 0} {
		publish(t, h, name, "1", "2", "3", "4", "5", "6")
		batch, err := h.Read(name, Oldest(), 0)
		if err != nil || len(batch.Messages) != want {
			t.Errorf("%s keeps %d, %v; want %d", name, len(batch.Messages), err, want)
		}
	}
	for name, limit := range map[string]int{"rooms/1": 10, "rooms/1/2": 100, "big": 1000} {
		if _, err := h.Publish(name, Message{Data: make([]byte, limit)}); err != nil {
			t.Errorf("%d bytes to %s: %v", limit, name, err)
		}
		if _, err := h.Publish(name, Message{Data: make([]byte, limit+1)}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes to %s: %v", limit+1, name, err)
		}
	}
	want := Settings{HistoryCount: 3, HistoryBytes: 4 << 20, HistoryAge: time.Hour, MaxMessageBytes: 100}
	if got := h.SettingsOf("rooms/1/2"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := h.SettingsOf("rooms/1"); !got.Presence {
		t.Errorf("%+v", got)
	}
}

func TestSetRules(t *testing.T) {
	h := NewHub(nil)
	publish(t, h, "a", "1", "2", "3")
	for _, bad := range [][]Rule{
		{{Settings: Settings{Presence: true}}},
		{{pattern("a"), Settings{HistoryBytes: -1}}},
		{{pattern("a"), Settings{HistoryAge: -1}}},
		{{pattern("a"), Settings{HistoryCount: 1}}, {pattern("b"), Settings{MaxMessageBytes: -1}}},
	} {
		if err := h.SetRules(bad); !isInvalid(err) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if batch, _ := h.Read("a", Oldest(), 0); len(batch.Messages) != 3 {
		t.Errorf("%d messages after rules that were refused", len(batch.Messages))
	}
	before := h.Stats().Bytes
	if err := h.SetRules([]Rule{{pattern("a"), Settings{HistoryCount: 1}}}); err != nil {
		t.Fatal(err)
	}
	if b := h.Stats().Bytes; b != before/3 {
		t.Errorf("%d bytes, were %d for three messages", b, before)
	}
	if batch, _ := h.Read("a", Oldest(), 0); !slices.Equal(texts(batch.Messages), []string{"3"}) {
		t.Errorf("a channel that lives did not take the rules over: %q", texts(batch.Messages))
	}
	if err := h.SetRules(nil); err != nil {
		t.Fatal(err)
	}
	publish(t, h, "a", "4", "5")
	if batch, _ := h.Read("a", Oldest(), 0); len(batch.Messages) != 3 {
		t.Errorf("%d messages after the rules were lifted, want 3", len(batch.Messages))
	}
}

func TestKeepLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(&Options{HistoryAge: time.Minute, Rules: []Rule{
			{pattern("state/*"), Settings{KeepLast: true}},
			{pattern("only"), Settings{KeepLast: true, HistoryCount: -1}},
		}})
		for _, name := range []string{"state/1", "only", "plain"} {
			s := h.SettingsOf(name)
			var r recorder
			if _, err := h.Subscribe(name, s.Newcomer(), &r); err != nil || len(r.messages) != 0 {
				t.Errorf("%s: %v, %q before there is anything", name, err, r.texts())
			}
			publish(t, h, name, "1", "2")
		}
		time.Sleep(time.Hour)
		for name, want := range map[string]string{"state/1": "2", "only": "2", "plain": ""} {
			s := h.SettingsOf(name)
			var r recorder
			if _, err := h.Subscribe(name, s.Newcomer(), &r); err != nil || strings.Join(r.texts(), " ") != want {
				t.Errorf("%s: a newcomer gets %q, %v; want %q", name, r.texts(), err, want)
			}
		}
		// It is kept without a subscriber, too.
		publish(t, h, "state/2", "alone")
		time.Sleep(time.Hour)
		batch, err := h.Read("state/2", Last(), 0)
		if err != nil || !slices.Equal(texts(batch.Messages), []string{"alone"}) {
			t.Errorf("%q, %v", texts(batch.Messages), err)
		}
	})
}

func TestLast(t *testing.T) {
	h := NewHub(nil)
	if batch, err := h.Read("a", Last(), 0); err != nil || len(batch.Messages) != 0 {
		t.Errorf("%q, %v of an empty channel", texts(batch.Messages), err)
	}
	publish(t, h, "a", "1", "2")
	if batch, err := h.Read("a", Last(), 0); err != nil || !slices.Equal(texts(batch.Messages), []string{"2"}) {
		t.Errorf("%q, %v", texts(batch.Messages), err)
	}
}

func TestExclude(t *testing.T) {
	h := NewHub(&Options{Rules: []Rule{{pattern("quiet"), Settings{NoEcho: true}}}})
	for name, tests := range map[string]struct {
		message Message
		own     bool // whether the sender gets it
	}{
		"a":     {Message{Sender: "1", Exclude: true}, false},
		"b":     {Message{Sender: "1"}, true},
		"c":     {Message{Exclude: true}, true}, // nobody is named
		"quiet": {Message{Sender: "1"}, false},
	} {
		var own, other, unknown, later recorder
		join(t, h, name, &own, Member{Client: "1"})
		join(t, h, name, &other, Member{Client: "2"})
		if _, err := h.Subscribe(name, Now(), &unknown); err != nil {
			t.Fatal(err)
		}
		m, err := h.Publish(name, tests.message)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Join(name, Oldest(), &later, Member{Client: "1"}); err != nil {
			t.Fatal(err)
		}
		want := 0
		if tests.own {
			want = 1
		}
		if len(own.messages) != want || len(later.messages) != want || len(other.messages) != 1 || len(unknown.messages) != 1 {
			t.Errorf("%s: the sender got %d, later %d, others %d and %d", name, len(own.messages), len(later.messages),
				len(other.messages), len(unknown.messages))
		}
		if m.HiddenFrom("1") == tests.own || m.HiddenFrom("2") || m.HiddenFrom("") {
			t.Errorf("%s: it says otherwise", name)
		}
	}
}

func TestInfo(t *testing.T) {
	h := NewHub(nil)
	last := publish(t, h, "rooms/2", "1", "2")
	join(t, h, "rooms/1", &recorder{}, Member{Client: "1", User: "ana"})
	join(t, h, "rooms/1", &recorder{}, Member{Client: "2", User: "ana"})
	publish(t, h, "other", "1")
	if _, err := h.Read("rooms/asked for", Oldest(), 0); err != nil {
		t.Fatal(err)
	}
	all := h.Channels(pattern("rooms/*"), 0)
	if len(all) != 2 || all[0].Name != "rooms/1" || all[0].Subscribers != 2 || all[0].Users != 1 || all[0].Clients != 2 ||
		all[1].Name != "rooms/2" || all[1].Position != last.Position() || all[1].Messages != 2 || all[1].Bytes == 0 {
		t.Errorf("%+v", all)
	}
	if some := h.Channels(pattern("**"), 2); len(some) != 2 || some[0].Name != "other" {
		t.Errorf("%+v", some)
	}
	if i, err := h.Info("rooms/2"); err != nil || i != all[1] {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err := h.Info("nowhere"); err != nil || i != (Info{Name: "nowhere"}) {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := h.Info(""); !isInvalid(err) {
		t.Error(err)
	}
}

func TestClosedHub(t *testing.T) {
	h := NewHub(nil)
	sub := join(t, h, "a", &recorder{}, Member{Client: "1"})
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Publish("a", Message{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := h.Read("a", Oldest(), 0); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	sub.Close()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func TestSetOptions(t *testing.T) {
	h := NewHub(&Options{HistoryCount: 10, MaxChannels: 2, MaxMessageBytes: 10})
	publish := func(name, text string) error {
		_, err := h.Publish(name, Message{Data: []byte(text)})
		return err
	}
	for range 10 {
		if err := publish("a", "x"); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() int {
		b, err := h.Read("a", Oldest(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(b.Messages)
	}
	if err := h.SetOptions(&Options{HistoryCount: 1, Rules: []Rule{{}}}); !isInvalid(err) || kept() != 10 {
		t.Errorf("a wrong rule: %v, %d messages are kept", err, kept())
	}
	if err := h.SetOptions(&Options{HistoryCount: 3, MaxChannels: 1, MaxMessageBytes: 20}); err != nil || kept() != 3 {
		t.Errorf("%v, %d messages are kept", err, kept())
	}
	if err := publish("a", "eleven bytes"); err != nil {
		t.Error(err)
	}
	s := &recorder{}
	if _, err := h.Join("b", Now(), s, Member{Client: "c"}); err != nil {
		t.Fatal(err)
	}
	if err := publish("c", "x"); !errors.Is(err, ErrTooManyChannels) {
		t.Errorf("a second channel: %v", err)
	}
	// What rules leave open remains as it was said last.
	if err := h.SetRules(nil); err != nil || h.SettingsOf("d").HistoryCount != 3 {
		t.Errorf("%v, %+v", err, h.SettingsOf("d"))
	}
}
