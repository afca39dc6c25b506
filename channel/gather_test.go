package channel_test

import (
	"slices"
	"testing"

	"baro.dev/channel"
)

// crowd is a Gathering that notes when it was told.
type crowd struct {
	members []string
	told    *[][]string
}

func (c *crowd) Delivered() { *c.told = append(*c.told, c.members) }

// Subscribers that gather are together when all of them have been handed the message, those of each key apart; a newcomer, who is handed
// what is there already, is alone.
func TestGather(t *testing.T) {
	h := channel.NewHub(nil)
	var told [][]string
	var alone []string
	delivered := 0
	subscribe := func(name, key string, from channel.From) *channel.Subscription {
		s, err := h.Subscribe("c", from, channel.SubscriberFunc(func(m *channel.Message) {
			delivered++
			if len(told) != 0 {
				t.Errorf("%s is handed a message that was delivered", name)
			}
			c, ok := channel.Gather(m, key, func(*channel.Message) *crowd { return &crowd{told: &told} })
			if !ok {
				alone = append(alone, name)
				return
			}
			c.members = append(c.members, name)
		}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	subscribe("a", "text", channel.Now())
	b := subscribe("b", "text", channel.Now())
	subscribe("x", "json", channel.Now())
	publish := func() {
		told = nil
		if _, err := h.Publish("c", channel.Message{Data: []byte("hello")}); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(told, slices.Compare)
	}
	publish()
	if want := [][]string{{"a", "b"}, {"x"}}; !slices.EqualFunc(told, want, slices.Equal) || delivered != 3 {
		t.Errorf("together are %v, of %d", told, delivered)
	}
	b.Close()
	told = nil
	subscribe("late", "json", channel.Oldest())
	if !slices.Equal(alone, []string{"late"}) || told != nil {
		t.Errorf("alone are %v, together %v", alone, told)
	}
	publish()
	if want := [][]string{{"a"}, {"x", "late"}}; !slices.EqualFunc(told, want, slices.Equal) {
		t.Errorf("together are %v", told)
	}
}
