package channel

import "strings"

// A Pattern names channels: those whose name it is, where * stands for any characters but a slash, and ** for any
// characters at all. rooms/* matches rooms/42 and not rooms/42/chat, which rooms/** does; ** alone matches every channel.
// The zero Pattern matches nothing. Make one with [ParsePattern]; it may be used from any goroutine.
type Pattern struct {
	text  string
	parts []string // what is between the stars
	wide  []bool   // whether the star after parts[i] is a double one
}

// maxStars bounds the work of a match.
const maxStars = 8

// ParsePattern reads a pattern. It is a channel's name but for its stars, of which there are 8 at most. The error is an
// [*InvalidError].
func ParsePattern(text string) (Pattern, error) {
	if text == "" {
		return Pattern{}, &InvalidError{What: "channel pattern", Reason: "it is empty"}
	}
	if err := validateWord("channel pattern", text, MaxNameBytes); err != nil {
		return Pattern{}, err
	}
	p := Pattern{text: text}
	part, rest, found := strings.Cut(text, "*")
	p.parts = append(p.parts, part)
	for found {
		after, wide := strings.CutPrefix(rest, "*")
		if strings.HasPrefix(after, "*") {
			return Pattern{}, &InvalidError{What: "channel pattern", Reason: "more than two stars in a row"}
		}
		part, rest, found = strings.Cut(after, "*")
		p.wide, p.parts = append(p.wide, wide), append(p.parts, part)
	}
	if len(p.wide) > maxStars {
		return Pattern{}, &InvalidError{What: "channel pattern", Reason: "more than 8 stars"}
	}
	return p, nil
}

// String is what the pattern was read from.
func (p Pattern) String() string { return p.text }

// Match says whether the pattern matches the name of a channel. Its time is bounded by the stars and the length of the
// name, multiplied.
func (p Pattern) Match(name string) bool {
	if len(name) > MaxNameBytes || len(p.parts) == 0 || !strings.HasPrefix(name, p.parts[0]) {
		return false
	}
	// Where in the name what is before a star may end.
	var ends, next [MaxNameBytes + 1]bool
	ends[len(p.parts[0])] = true
	for star, wide := range p.wide {
		part := p.parts[star+1]
		clear(next[:])
		covered := false // whether the star reaches this place
		for at := range len(name) + 1 {
			covered = covered || ends[at]
			if covered && strings.HasPrefix(name[at:], part) {
				next[at+len(part)] = true
			}
			if !wide && at < len(name) && name[at] == '/' {
				covered = false
			}
		}
		ends, next = next, ends
	}
	return ends[len(name)]
}
