package server

import (
	"slices"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

// A Rule is what holds for the channels whose names match a pattern: how they are kept, and who may do what in them. Of several
// that match the first holds. As for who may do what, a pattern matches the channels of users, which begin with "@", only if it begins so too.
type Rule struct {
	Pattern channel.Pattern
	channel.Settings
	Access clients.Rule // but for its pattern
}

// devRule is what holds with Dev where no other rule does: everybody may everything.
func devRule() Rule {
	all, err := channel.ParsePattern("**")
	if err != nil {
		panic(err) // our own
	}
	return Rule{
		Pattern:  all,
		Settings: channel.Settings{Presence: true},
		Access: clients.Rule{
			Subscribe: clients.Anyone, Publish: clients.Anyone, Presence: clients.Anyone, History: clients.Anyone,
		},
	}
}

// split gives the two kinds of rules, each to whom it is for.
func split(list []Rule) (settings []channel.Rule, access []clients.Rule) {
	for _, r := range list {
		settings = append(settings, channel.Rule{Pattern: r.Pattern, Settings: r.Settings})
		a := r.Access
		a.Pattern = r.Pattern
		access = append(access, a)
	}
	return settings, access
}

// rules are those of the configuration, and with Dev one more.
func (c *Config) rules() []Rule {
	if !c.Dev {
		return c.Rules
	}
	return append(slices.Clip(c.Rules), devRule())
}
