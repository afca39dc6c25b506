package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is what there is at the moment of a scrape.
type State struct {
	Ready         bool
	QueueBytes    int // that wait for slow clients
	Channels      int
	Subscriptions int
	Users         int
	// What became of events for the backend; those for two endpoints count twice. Queued are those that wait.
	EventsDelivered, EventsFailed, EventsDropped uint64
	EventsQueued                                 int
	// SocketIO has the clients of Socket.IO by the transport they are on at the moment, which changes.
	SocketIO map[Transport]int
	// Cluster is what joins the server with others; nil: it is alone.
	Cluster *Cluster
	// CertificateExpiry is when the first of the certificates in use expires. Zero: there is none.
	CertificateExpiry time.Time
}

// Cluster is how a server stands among others.
type Cluster struct {
	BrokerUp                                    bool
	Peers                                       int    // other servers that are there
	Sent, SentBytes, Received, ReceivedBytes    uint64 // messages between servers, but for those of channels
	Ignored                                     uint64 // messages that nobody sends who means well
	Gaps                                        uint64 // times that messages between servers may have been lost
	BrokerHeard                                 uint64 // messages of channels that came from the broker
	BrokerGaps, BrokerLost                      uint64 // of channels: missed and looked for; and not there any more
	BrokerWaiting                               int64  // bytes that wait for the broker
	PresenceMembers                             int    // of channels with presence, here
	PresenceTold, PresenceHeard, PresencePulled uint64 // messages of presence; and what was asked for since something was missing
	CarriedPolls, CarriedSockets, CarriedServed uint64 // requests that were carried to their server; and those that came so
}

// The cells of a transport's traffic.
const (
	receivedMessages = iota
	receivedBytes
	sentMessages
	sentBytes
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("baro_"+name, help, labels, nil)
}

var (
	trafficDescs = [...]*prometheus.Desc{
		receivedMessages: desc("received_messages_total", "Messages of clients.", "transport"),
		receivedBytes:    desc("received_bytes_total", "Bytes of the messages of clients, without frames and compression.", "transport"),
		sentMessages:     desc("sent_messages_total", "Messages to clients.", "transport"),
		sentBytes:        desc("sent_bytes_total", "Bytes of the messages to clients, without frames and compression.", "transport"),
	}
	connectionsDesc   = desc("connections", "Clients that are connected.", "transport")
	publishedDesc     = desc("published_total", "Messages that were published.", "source")
	readyDesc         = desc("ready", "Whether the server is ready, as /readyz says.")
	queueDesc         = desc("queue_bytes", "Bytes that wait because clients do not take them.")
	channelsDesc      = desc("channels", "Channels, idle ones too.")
	subscriptionsDesc = desc("subscriptions", "Subscriptions of clients to channels.")
	usersDesc         = desc("users", "Users that are connected.")
	eventsDesc        = desc("webhook_events_total", "Events for the backend, by what became of them.", "result")
	queuedDesc        = desc("webhook_queued_events", "Events that wait to be sent to the backend.")
	brokerUpDesc      = desc("broker_up", "Whether what joins the servers of the cluster is there.")
	brokerHeardDesc   = desc("broker_received_total", "Messages of channels that the broker sent to this server, since somebody here has subscribed.")
	brokerGapsDesc    = desc("broker_gaps_total", "Times that messages of a channel had been missed, and were looked for.")
	brokerLostDesc    = desc("broker_lost_total", "Times that messages of a channel which were missed could not be had any more.")
	brokerWaitingDesc = desc("broker_waiting_bytes", "Bytes of messages that wait for the broker.")
	peersDesc         = desc("cluster_peers", "Other servers of the cluster that are there.")
	messagesDesc      = desc("cluster_messages_total", "Messages between the servers of the cluster, but for those of channels.", "direction")
	messageBytesDesc  = desc("cluster_bytes_total", "Bytes of these messages.", "direction")
	ignoredDesc       = desc("cluster_ignored_total", "Messages that were ignored: malformed, too large, or of an unknown version.")
	gapsDesc          = desc("cluster_gaps_total", "Times that messages between the servers may have been lost.")
	membersDesc       = desc("presence_members", "Members of channels with presence that are connected to this server of a cluster.")
	presenceDesc      = desc("cluster_presence_messages_total", "Messages between the servers about who comes and goes.", "direction")
	pulledDesc        = desc("cluster_presence_pulled_total", "Times that who is in a channel was asked for, since something was missing.")
	carriedDesc       = desc("cluster_carried_total", "Requests of Socket.IO that were carried to the server that has their session, and those that came so.", "kind")
	expiryDesc        = desc("tls_certificate_expiry_timestamp_seconds", "When the TLS certificate expires; of several, the first that does.")
)

// collector exposes what is counted in cells, and the state.
type collector struct{ *Metrics }

// Describe implements [prometheus.Collector].
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range trafficDescs {
		to <- d
	}
	for _, d := range []*prometheus.Desc{
		brokerUpDesc, brokerHeardDesc, brokerGapsDesc, brokerLostDesc, brokerWaitingDesc, peersDesc, messagesDesc, messageBytesDesc, ignoredDesc, gapsDesc, carriedDesc,
		membersDesc, presenceDesc, pulledDesc,
		connectionsDesc, publishedDesc, readyDesc, queueDesc, channelsDesc, subscriptionsDesc, usersDesc, eventsDesc, queuedDesc, expiryDesc,
	} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(to chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	s := c.state()
	for t := range Transport(Transports) {
		for value, d := range trafficDescs {
			counter(d, c.traffic[t].sum(value), t.String())
		}
		open := c.open[t].Load()
		if t.isSocketIO() {
			open = int64(s.SocketIO[t])
		}
		gauge(connectionsDesc, float64(open), t.String())
	}
	for source, name := range sourceNames {
		counter(publishedDesc, c.published.sum(source), name)
	}
	ready := 0.0
	if s.Ready {
		ready = 1
	}
	gauge(readyDesc, ready)
	gauge(queueDesc, float64(s.QueueBytes))
	gauge(channelsDesc, float64(s.Channels))
	gauge(subscriptionsDesc, float64(s.Subscriptions))
	gauge(usersDesc, float64(s.Users))
	counter(eventsDesc, s.EventsDelivered, "delivered")
	counter(eventsDesc, s.EventsFailed, "failed")
	counter(eventsDesc, s.EventsDropped, "dropped")
	gauge(queuedDesc, float64(s.EventsQueued))
	if k := s.Cluster; k != nil {
		up := 0.0
		if k.BrokerUp {
			up = 1
		}
		gauge(brokerUpDesc, up)
		gauge(brokerWaitingDesc, float64(k.BrokerWaiting))
		gauge(peersDesc, float64(k.Peers))
		counter(brokerHeardDesc, k.BrokerHeard)
		counter(brokerGapsDesc, k.BrokerGaps)
		counter(brokerLostDesc, k.BrokerLost)
		counter(messagesDesc, k.Sent, "sent")
		counter(messagesDesc, k.Received, "received")
		counter(messageBytesDesc, k.SentBytes, "sent")
		counter(messageBytesDesc, k.ReceivedBytes, "received")
		counter(ignoredDesc, k.Ignored)
		counter(gapsDesc, k.Gaps)
		gauge(membersDesc, float64(k.PresenceMembers))
		counter(presenceDesc, k.PresenceTold, "sent")
		counter(presenceDesc, k.PresenceHeard, "received")
		counter(pulledDesc, k.PresencePulled)
		counter(carriedDesc, k.CarriedPolls, "request")
		counter(carriedDesc, k.CarriedSockets, "websocket")
		counter(carriedDesc, k.CarriedServed, "served")
	}
	if !s.CertificateExpiry.IsZero() {
		gauge(expiryDesc, float64(s.CertificateExpiry.Unix()))
	}
}
