package metrics

import (
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config is what metrics need.
type Config struct {
	Version string       // of the server
	State   func() State // asked at every scrape, by several at a time
}

// Metrics are the metrics of one server. Make them with [New].
type Metrics struct {
	registry *prometheus.Registry
	state    func() State

	traffic   [Transports]cells // of received and sent, messages and bytes
	published cells             // of sources
	open      [Transports]atomic.Int64
	opened    [Transports]prometheus.Counter
	slow      [Transports]prometheus.Counter
	trips     [Transports]prometheus.Observer // nil for those without pings

	accepts, refused, closes, recoveries, calls, reloads *prometheus.CounterVec
	brokerFailures                                       *prometheus.CounterVec
	store, broker, api, webhooks                         *prometheus.HistogramVec
	delivery                                             prometheus.Observer
	reloaded                                             prometheus.Gauge
	measured                                             atomic.Int64 // when the message was published that was measured last
}

// measureEvery is how far apart messages are that are measured: reading the clock takes as long as publishing to a few.
const measureEvery = time.Millisecond

// Bounds of histograms, in seconds.
var (
	// quick are for what takes microseconds, and is bad when it takes a second.
	quick = []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}
	// distant are for what a network or somebody else takes part in.
	distant = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

// New makes metrics, with a registry of their own.
func New(c Config) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), state: c.State, published: newCells()}
	m.accepts = m.counters("accepts_total", "Connections that were accepted.", "listener")
	m.refused = m.counters("refused_total", "Requests, connections and commands that were refused, by the code that whoever asked was told.", "reason")
	m.closes = m.counters("closes_total", "Clients whose connection has ended, by close code or reason.", "transport", "code")
	m.recoveries = m.counters("recoveries_total", "Clients that came with a position, and got everything after it, or could not.", "transport", "result")
	m.calls = m.counters("calls_total", "Calls of the backend to clients.", "result")
	m.reloads = m.counters("reloads_total", "Reloads of the configuration.", "result")
	m.store = m.histograms("store_seconds", "How long the store of messages took.", quick, "operation")
	m.broker = m.histograms("broker_seconds", "How long the broker of channels took, which the servers of a cluster share.", distant, "operation")
	m.brokerFailures = m.counters("broker_failures_total", "What the broker of channels did not do.", "operation")
	m.api = m.histograms("api_request_seconds", "How long requests to the HTTP API took.", distant, "operation", "status")
	m.webhooks = m.histograms("webhook_request_seconds", "How long requests to the backend took.", distant, "result")
	m.delivery = m.histograms("delivery_seconds", "From the publishing of a message until it was handed to the sockets of its subscribers.", quick).WithLabelValues()
	m.reloaded = prometheus.NewGauge(prometheus.GaugeOpts{Name: "baro_last_reload_success", Help: "Whether the configuration was taken the last time that it was read."})
	m.reloaded.Set(1)

	opened := m.counters("connections_opened_total", "Clients that were connected.", "transport")
	slow := m.counters("slow_consumers_total", "Clients that were cut because they did not take what was sent to them.", "transport")
	trips := m.histograms("round_trip_seconds", "From a ping of the server to the answer.", distant, "transport")
	for t := range Transport(Transports) {
		m.traffic[t] = newCells()
		m.opened[t], m.slow[t] = opened.WithLabelValues(t.String()), slow.WithLabelValues(t.String())
		if t.pings() {
			m.trips[t] = trips.WithLabelValues(t.String())
		}
	}
	// What is there from the beginning can be seen to rise.
	for _, ok := range []bool{true, false} {
		m.reloads.WithLabelValues(result(ok))
		for _, t := range []Transport{WebSocket, Multiplex, SSE, NDJSON, Poll, SocketIOWebSocket} {
			m.recoveries.WithLabelValues(t.String(), result(ok))
		}
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "baro_build_info", Help: "1; the labels say what was built.",
		ConstLabels: prometheus.Labels{"version": c.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(build, m.reloaded, collector{m},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "baro_" + name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "baro_" + name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

func result(ok bool) string {
	if ok {
		return "ok"
	}
	return "failed"
}

// Handler answers scrapes, few at a time.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Accepted counts a connection that a listener has accepted: "tcp", "udp" or "admin".
func (m *Metrics) Accepted(listener string) { m.accepts.WithLabelValues(listener).Inc() }

// Refused counts what was refused. reason is a code of this project's: never one that a backend or a client made up.
func (m *Metrics) Refused(reason string) { m.refused.WithLabelValues(reason).Inc() }

// Opened counts a client that is connected.
func (m *Metrics) Opened(t Transport) {
	m.opened[t].Inc()
	m.open[t].Add(1)
}

// Closed counts a client whose connection has ended, after [Metrics.Opened]. code is the close code of a WebSocket, or a word for why;
// those that are not known are counted as other.
func (m *Metrics) Closed(t Transport, code string) {
	m.open[t].Add(-1)
	if !knownCodes[code] {
		code = "other"
	}
	m.closes.WithLabelValues(t.String(), code).Inc()
}

// Received counts messages of clients, and their bytes. It is for the hot path.
func (m *Metrics) Received(t Transport, messages, bytes int) {
	m.traffic[t].add2(receivedMessages, messages, receivedBytes, bytes)
}

// Sent counts messages to clients, and their bytes. It is for the hot path.
func (m *Metrics) Sent(t Transport, messages, bytes int) {
	m.traffic[t].add2(sentMessages, messages, sentBytes, bytes)
}

// Published counts messages that were published. It is for the hot path.
func (m *Metrics) Published(s Source, messages int) { m.published.add(int(s), messages) }

// SlowConsumer counts a client that was cut because it did not take what was sent to it.
func (m *Metrics) SlowConsumer(t Transport) { m.slow[t].Inc() }

// Recovered counts a client that came with a position: ok says that it got everything after it.
func (m *Metrics) Recovered(t Transport, ok bool) {
	m.recoveries.WithLabelValues(t.String(), result(ok)).Inc()
}

// Measures says whether [Metrics.Delivered] is to be told of a message that was published at a time: a thousand times a second at most.
func (m *Metrics) Measures(published time.Time) bool {
	at := published.UnixNano()
	last := m.measured.Load()
	if d := at - last; d >= 0 && d < int64(measureEvery) {
		return false
	}
	return m.measured.CompareAndSwap(last, at)
}

// Delivered notes how long a message took from its publishing to the sockets.
func (m *Metrics) Delivered(d time.Duration) { m.delivery.Observe(d.Seconds()) }

// RoundTrip notes how long the answer to a ping took.
func (m *Metrics) RoundTrip(t Transport, d time.Duration) { m.trips[t].Observe(d.Seconds()) }

// Store notes how long an operation of the store took: "load", "save" or "read".
func (m *Metrics) Store(operation string, d time.Duration) {
	m.store.WithLabelValues(operation).Observe(d.Seconds())
}

// Broker notes how long an operation of the broker of channels took: "append", "follow", "load" or "read"; and whether it was done.
func (m *Metrics) Broker(operation string, d time.Duration, ok bool) {
	m.broker.WithLabelValues(operation).Observe(d.Seconds())
	failures := m.brokerFailures.WithLabelValues(operation)
	if !ok {
		failures.Inc()
	}
}

// APIRequest notes a request to the HTTP API. operation is a route of it.
func (m *Metrics) APIRequest(operation string, status int, d time.Duration) {
	m.api.WithLabelValues(operation, strconv.Itoa(status)).Observe(d.Seconds())
}

// WebhookRequest notes a request to the backend; ok says that it gave an answer.
func (m *Metrics) WebhookRequest(ok bool, d time.Duration) {
	m.webhooks.WithLabelValues(result(ok)).Observe(d.Seconds())
}

// Called counts a call to a client; result is "ok", or a code of this project's that says why it failed.
func (m *Metrics) Called(result string) { m.calls.WithLabelValues(result).Inc() }

// Reloaded counts a reload of the configuration.
func (m *Metrics) Reloaded(ok bool) {
	m.reloads.WithLabelValues(result(ok)).Inc()
	if ok {
		m.reloaded.Set(1)
	} else {
		m.reloaded.Set(0)
	}
}
