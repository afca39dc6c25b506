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
	// CertificateExpiry is when the first of the certificates in use expires. Zero: there is none.
	CertificateExpiry time.Time
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
	if !s.CertificateExpiry.IsZero() {
		gauge(expiryDesc, float64(s.CertificateExpiry.Unix()))
	}
}
