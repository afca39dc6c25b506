package webhook

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed request.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp" // of the attempt, in Unix seconds
	HeaderSignature = "Webhook-Signature" // one or several, separated by spaces, each "v1," and base64
)

// DefaultTolerance is how old, or how much from the future, a request may be that is accepted. It bounds how long somebody
// who has seen one can send it again.
const DefaultTolerance = 5 * time.Minute

// maxSignatures is how many signatures are looked at, as each costs the receiver work.
const maxSignatures = 16

// Why a request is not taken for what it says it is: what [errors.Is] compares with.
var (
	ErrHeaders   = errors.New("webhook: a header is missing, repeated or malformed")
	ErrTimestamp = errors.New("webhook: the timestamp is too old, or from the future")
	ErrSignature = errors.New("webhook: no signature fits")
)

// Verify says whether a request was signed with one of the secrets, and lately: not longer than tolerance before or after
// now. A tolerance of 0 is [DefaultTolerance]. The body is that of the request, byte for byte; it is only read. Whoever must
// do a thing once remembers the [HeaderID], which is the same whenever the same request is made again.
//
// The errors are ErrHeaders, ErrTimestamp and ErrSignature, and one of the secrets if those are malformed.
func Verify(header http.Header, body []byte, secrets []string, tolerance time.Duration, now time.Time) error {
	keys, err := parseSecrets(secrets)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	id, timestamp, signatures := header.Values(HeaderID), header.Values(HeaderTimestamp), header.Values(HeaderSignature)
	if len(id) != 1 || id[0] == "" || len(timestamp) != 1 || len(signatures) != 1 {
		return ErrHeaders
	}
	seconds, err := strconv.ParseUint(timestamp[0], 10, 40) // as far as time.Unix surely goes
	if err != nil {
		return ErrHeaders
	}
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	var wanted [][]byte
	for _, key := range keys {
		wanted = append(wanted, signature(key, id[0], timestamp[0], body))
	}
	fits := false
	for i, text := range strings.Fields(signatures[0]) {
		if i == maxSignatures {
			break
		}
		encoded, ok := strings.CutPrefix(text, "v1,")
		if !ok {
			continue // of another version
		}
		given, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		for _, w := range wanted {
			fits = hmac.Equal(given, w) || fits // in constant time
		}
	}
	if !fits {
		return ErrSignature
	}
	// It does not wrap: seconds are less than 2^40, and Sub gives the most there is at most.
	if age := now.Sub(time.Unix(int64(seconds), 0)); age > tolerance || age < -tolerance {
		return ErrTimestamp
	}
	return nil
}
