package clients

// What the backend is told by [Config.Notify], and what its data is.
const (
	TypeConnected    = "connected"     // Event
	TypeDisconnected = "disconnected"  // Event
	TypeSubscribed   = "subscribed"    // SubscriptionEvent
	TypeUnsubscribed = "unsubscribed"  // SubscriptionEvent
	TypePublished    = "published"     // PublishedEvent
	TypeCallAnswered = "call_answered" // Answer
	TypeOccupied     = "occupied"      // OccupancyEvent: of a channel that has its first subscriber
	TypeVacated      = "vacated"       // OccupancyEvent: of a channel that has lost its last
)

// What the backend is asked by [Config.Ask].
const (
	KindConnect = "connect" // ConnectQuestion, ConnectAnswer
	KindRPC     = "rpc"     // RPCQuestion, RPCAnswer
)

// An OccupancyEvent is what the backend is told of a channel that somebody uses, or nobody any more.
type OccupancyEvent struct {
	Channel string `json:"channel"`
}

// ChannelOf is the channel that the data of an event is about; "" for none.
func ChannelOf(data any) string {
	switch e := data.(type) {
	case SubscriptionEvent:
		return e.Channel
	case PublishedEvent:
		return e.Channel
	case OccupancyEvent:
		return e.Channel
	}
	return ""
}
