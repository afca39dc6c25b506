// Package deflate is the compression half of permessage-deflate: it turns the payload of a message into its compressed form
// and back (RFC 7692 7.2). What belongs to a connection, the agreed parameters and the windows of context takeover, stays
// with the caller; compressors and inflaters are borrowed from pools for the time of one message.
//
// Compressing is left to github.com/klauspost/compress/flate, but for short messages, in which it looks for no matches. The
// inflater is the package's own: it takes half the time of that library's for messages of a few KiB, decodes straight into the
// result with the window where it lies, and holds a message to what RFC 7692 says of it and RFC 1951 does not know: that a
// message ends where its sender cut off the tail and not just anywhere, that blocks may follow a final one, and that the agreed
// window bounds every reference.
package deflate

import "errors"

// The base-2 logarithm of the sizes an LZ77 window may have (RFC 7692 7.1.2).
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// What to compress with unless there are reasons to do otherwise, by BenchmarkCompress. For JSON text of 4 KiB, level 5 saves 7 %
// of level 1's size for half as much time again. A window must be read anew for each message: one of 1<<12 bytes saves 20 % of
// size for 15 % more time, and one of 1<<15 hardly more than that for three and a half times the time.
const (
	DefaultLevel          = 1
	DefaultSendWindowBits = 12
)

var (
	// ErrCorrupt says that a message is not what RFC 7692 7.2.1 makes of any: damaged, cut short, or referring back to
	// bytes that the agreed window does not hold.
	ErrCorrupt = errors.New("deflate: corrupt compressed message")
	// ErrTooLarge says that a message inflates to more bytes than the limit allows.
	ErrTooLarge = errors.New("deflate: message too large after inflation")
)
