package backbone

import (
	"baro.dev/channel"
	"baro.dev/internal/cluster"
)

// A Backbone is what joins this server with others.
type Backbone struct {
	Broker channel.Broker // of channels; the hub closes it
	Bus    cluster.Bus
	Shelf  cluster.Shelf
	// Err says why nothing is kept, or gets through, at the moment; nil: all does. It does not wait.
	Err func() error
	// Behind says what this server has not got yet, since it began, of what it is to keep for all; nil: it has. nil: it keeps nothing.
	Behind func() error
	// Message says whether an error of the broker is about one message, and not about the broker. nil: none is.
	Message func(error) bool
	// Stats are what the broker has counted. nil: nothing.
	Stats func() Stats
	// Close ends what is beneath, after the hub, the node and the bus. nil: there is nothing.
	Close func()
}

// Stats are what a broker of channels has counted.
type Stats struct {
	Heard   uint64 // messages that came for followers
	Gaps    uint64 // something was missed by a follower, and looked for
	Lost    uint64 // it was not there any more, or the channel had begun anew
	Foreign uint64 // messages that no version known here has written, and were ignored
	Waiting int64  // bytes that wait for the broker
}
