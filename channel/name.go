package channel

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ValidateName says whether name can name a channel: 1 to [MaxNameBytes] bytes of valid UTF-8 without control
// characters, line separators or characters that reorder text. Anything else is part of a name, slashes and spaces too;
// names are compared byte by byte. The error is an [*InvalidError].
func ValidateName(name string) error {
	if name == "" {
		return &InvalidError{What: "channel name", Reason: "it is empty"}
	}
	return validateWord("channel name", name, MaxNameBytes)
}

func validateEvent(event string) error {
	switch {
	case strings.HasPrefix(event, "baro."):
		return &InvalidError{What: "event name", Reason: `names beginning with "baro." are reserved`}
	case strings.HasSuffix(event, ";base64"):
		return &InvalidError{What: "event name", Reason: `names ending in ";base64" are reserved`}
	}
	return validateWord("event name", event, MaxEventBytes)
}

// validateWord refuses what could break a line of a protocol or deceive whoever reads it in a log or on a page.
func validateWord(what, word string, maxBytes int) error {
	if len(word) > maxBytes {
		return &InvalidError{What: what, Reason: fmt.Sprintf("it has %d bytes, the limit is %d", len(word), maxBytes)}
	}
	for i, r := range word {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(word[i:]); size == 1 {
				return &InvalidError{What: what, Reason: fmt.Sprintf("byte %d is not valid UTF-8", i)}
			}
		}
		if r < utf8.RuneSelf && r >= ' ' && r != 0x7f {
			continue
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return &InvalidError{What: what, Reason: fmt.Sprintf("it contains the control character %U at byte %d", r, i)}
		}
	}
	return nil
}
