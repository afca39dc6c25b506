package server

import (
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
	"baro.dev/internal/cluster/backbone"
	"baro.dev/internal/cluster/membus"
	"baro.dev/internal/testkit"
	"baro.dev/internal/webhook"
	"baro.dev/ws"
)

// scrape reads the metrics: values by series, as name{label="value"}, and the types of names.
func scrape(t *testing.T, admin string) (values map[string]float64, types map[string]string) {
	t.Helper()
	response, body := request(t, "GET", admin+"/metrics", "")
	if response.StatusCode != 200 {
		t.Fatalf("%d, %s", response.StatusCode, body)
	}
	values, types = map[string]float64{}, map[string]string{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			types[name] = kind
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		values[line[:at]] = value
	}
	return values, types
}

// wantMetrics waits until the metrics are so.
func wantMetrics(t *testing.T, admin string, want map[string]float64) {
	t.Helper()
	var got map[string]float64
	differs := func() []string {
		var list []string
		got, _ = scrape(t, admin)
		for series, value := range want {
			if got[series] != value {
				list = append(list, series+" is "+strconv.FormatFloat(got[series], 'g', -1, 64)+", not "+strconv.FormatFloat(value, 'g', -1, 64))
			}
		}
		return list
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		list := differs()
		if len(list) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s", strings.Join(list, "\n"))
		}
	}
}

// What happens is counted, over every transport, and the page in docs/ has what is exposed and nothing else.
func TestMetrics(t *testing.T) {
	t.Parallel()
	backend, _ := newBackend(t, nil)
	s, admin := startAdmin(t, Config{
		Dev: true, Data: t.TempDir(), NoSync: true, Heartbeat: 200 * time.Millisecond,
		Webhooks: Webhooks{Events: webhook.Config{Endpoints: []webhook.Endpoint{endpoint(backend)}}},
	})
	first := publishText(t, s, "a", "0")

	plain := dialSocket(t, s, "/c/a", nil)
	another := dialSocket(t, s, "/c/a", nil)
	back := dialSocket(t, s, "/c/a?after="+first.Position().String(), envelopes)
	lost := dialSocket(t, s, "/c/a?after=nowhere:7", nil)
	go func() { // pings are answered by who reads
		for _, c := range []*ws.Conn{another, back, lost} {
			go func() {
				for {
					if _, err := c.Read(t.Context()); err != nil {
						return
					}
				}
			}()
		}
	}()
	talks := map[string]*talk{}
	for _, transport := range multiplexers {
		k := mustTalk(t, s, transport, "")
		var place struct{ Offset uint64 }
		if err := k.ask("subscribe", `{"channel":"a","after":"nowhere:7"}`, &place); transport == "ws" && err == nil {
			t.Error("nowhere was found")
		}
		talks[transport] = k
	}
	subscribe(t, talks)
	streams := map[string]io.Reader{}
	for _, accept := range []string{typeSSE, typeNDJSON} {
		response, err := open(t.Context(), client(t), s.url("/c/a?after="+first.Position().String()), accept)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		streams[accept] = response.Body
	}
	polled := make(chan struct{})
	go func() {
		defer close(polled)
		request(t, "GET", s.url("/c/a?wait=30s&after="+first.Position().String()), "")
	}()
	wantMetrics(t, admin, map[string]float64{
		`baro_connections{transport="websocket"}`: 3, `baro_connections{transport="multiplex"}`: 1, `baro_connections{transport="sse"}`: 1,
		`baro_connections{transport="ndjson"}`: 1, `baro_connections{transport="poll"}`: 1, `baro_connections{transport="socketio_websocket"}`: 1,
		`baro_connections{transport="socketio_polling"}`: 0, `baro_subscriptions`: 7, `baro_channels`: 1,
		`baro_recoveries_total{result="ok",transport="websocket"}`: 1, `baro_recoveries_total{result="failed",transport="websocket"}`: 1,
		`baro_recoveries_total{result="failed",transport="multiplex"}`: 1, `baro_recoveries_total{result="failed",transport="socketio_websocket"}`: 1,
		`baro_recoveries_total{result="ok",transport="sse"}`: 1, `baro_recoveries_total{result="ok",transport="ndjson"}`: 1,
		`baro_closes_total{code="4410",transport="websocket"}`: 1, `baro_queue_bytes`: 0, `baro_ready`: 1,
	})

	before, _ := scrape(t, admin)
	if response, body := request(t, "POST", s.url("/c/a"), "12345"); response.StatusCode != 200 {
		t.Fatalf("%d, %s", response.StatusCode, body)
	}
	if m := readSocket(t, plain); string(m.Data) != "12345" {
		t.Errorf("%s", m.Data)
	}
	testkit.Within(t, "the poll is answered", polled)
	wantMetrics(t, admin, map[string]float64{
		`baro_published_total{source="http"}`:                 1,
		`baro_sent_messages_total{transport="websocket"}`:     before[`baro_sent_messages_total{transport="websocket"}`] + 3,
		`baro_sent_messages_total{transport="multiplex"}`:     before[`baro_sent_messages_total{transport="multiplex"}`] + 1,
		`baro_sent_messages_total{transport="sse"}`:           1,
		`baro_sent_messages_total{transport="ndjson"}`:        1,
		`baro_sent_messages_total{transport="poll"}`:          1,
		`baro_store_seconds_count{operation="save"}`:          2,
		`baro_closes_total{code="answered",transport="poll"}`: 1,
	})
	for name, least := range map[string]float64{
		`baro_delivery_seconds_count`:                                   2, // of the WebSockets, and of a stream
		`baro_sent_bytes_total{transport="sse"}`:                        5,
		`baro_sent_messages_total{transport="socketio_websocket"}`:      1,
		`baro_received_messages_total{transport="socketio_websocket"}`:  1,
		`baro_received_messages_total{transport="multiplex"}`:           1,
		`baro_round_trip_seconds_count{transport="websocket"}`:          1,
		`baro_round_trip_seconds_count{transport="multiplex"}`:          1,
		`baro_webhook_events_total{result="delivered"}`:                 1,
		`baro_webhook_request_seconds_count{result="ok"}`:               1,
		`baro_accepts_total{listener="public"}`:                         7,
		`baro_connections_opened_total{transport="socketio_websocket"}`: 1,
	} {
		eventually(t, name, func() bool {
			values, _ := scrape(t, admin)
			return values[name] >= least
		})
	}
	if values, _ := scrape(t, admin); values[`baro_delivery_seconds_sum`] > 60 {
		t.Errorf("messages took %v s", values[`baro_delivery_seconds_sum`])
	}

	if err := plain.Write(t.Context(), ws.Text, []byte("123")); err != nil {
		t.Fatal(err)
	}
	_ = plain.Close(t.Context(), 4999, "")
	_ = another.Close(t.Context(), ws.StatusNormalClosure, "")
	for path, status := range map[string]int{"/api/v1/info": 200, "/api/v1/presence": 400} {
		if response, body := request(t, "GET", admin+path, ""); response.StatusCode != status {
			t.Errorf("%s: %d, %s", path, response.StatusCode, body)
		}
	}
	request(t, "POST", s.url("/api/v1/call"), `{"user":"nobody","method":"m"}`, "Content-Type", typeJSON)
	wantMetrics(t, admin, map[string]float64{
		`baro_received_messages_total{transport="websocket"}`: 1, `baro_received_bytes_total{transport="websocket"}`: 3,
		`baro_published_total{source="websocket"}`: 1, `baro_closes_total{code="other",transport="websocket"}`: 1,
		`baro_closes_total{code="1000",transport="websocket"}`: 1, `baro_connections{transport="websocket"}`: 1,
		`baro_api_request_seconds_count{operation="info",status="200"}`: 1, `baro_api_request_seconds_count{operation="presence",status="400"}`: 1,
		`baro_calls_total{result="not_found"}`: 1, `baro_refused_total{reason="not_found"}`: 1,
	})

	cert, key, _ := testkit.Certificate(t)
	_, secure := startAdmin(t, Config{TLSCert: cert, TLSKey: key})
	var net membus.Network
	clustered, ofCluster := startAdmin(t, Config{Dev: true, Backbone: &backbone.Backbone{Broker: brokertest.NewLog().Open(), Bus: net.Bus()}})
	publishText(t, clustered, "a", "0")
	comparePage(t, admin, secure, ofCluster)
}

// subscribe has those who multiplex subscribe to the channel a.
func subscribe(t *testing.T, talks map[string]*talk) {
	t.Helper()
	for transport, k := range talks {
		var place struct{ Offset uint64 }
		if err := k.ask("subscribe", `{"channel":"a"}`, &place); err != nil {
			t.Fatalf("%s: %v", transport, err)
		}
	}
}

var (
	pageLine  = regexp.MustCompile("(?m)^\\| `(baro_[a-z_]+)` \\| (counter|gauge|histogram) \\|([^|]*)\\|")
	labelName = regexp.MustCompile(`([a-z]+)="`)
)

// comparePage compares docs/metrics.md with what servers expose, together.
func comparePage(t *testing.T, admins ...string) {
	t.Helper()
	exposed := map[string]string{} // its type and labels
	for _, admin := range admins {
		values, types := scrape(t, admin)
		for name, kind := range types {
			if !strings.HasPrefix(name, "baro_") {
				continue
			}
			labels := map[string]bool{}
			for series := range values {
				base, list, _ := strings.Cut(series, "{")
				if kind == "histogram" {
					base = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(base, "_bucket"), "_sum"), "_count")
				}
				if base != name {
					continue
				}
				for _, found := range labelName.FindAllStringSubmatch(list, -1) {
					if found[1] != "le" {
						labels[found[1]] = true
					}
				}
			}
			exposed[name] = kind + " " + strings.Join(slices.Sorted(maps.Keys(labels)), " ")
		}
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]string{}
	for _, line := range pageLine.FindAllStringSubmatch(string(page), -1) {
		labels := strings.FieldsFunc(line[3], func(r rune) bool { return r == ' ' || r == ',' || r == '`' })
		slices.Sort(labels)
		described[line[1]] = line[2] + " " + strings.Join(labels, " ")
	}
	for name, is := range exposed {
		if described[name] != is {
			t.Errorf("%s is a %s, and the page says %q", name, is, described[name])
		}
	}
	for name := range described {
		if exposed[name] == "" {
			t.Errorf("the page has %s, which is not exposed", name)
		}
	}
}

// Clients that do not read are counted, over every way in which they are cut.
func TestMetricsOfSlowClients(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t, Config{QueueBytes: 1 << 16, Channels: channel.Options{HistoryBytes: 1 << 20}})
	response, err := open(t.Context(), client(t), s.url("/c/a"), typeNDJSON)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_ = dialSocket(t, s, "/c/a", nil)
	wantMetrics(t, admin, map[string]float64{`baro_connections{transport="ndjson"}`: 1, `baro_connections{transport="websocket"}`: 1})
	text := strings.Repeat("x", 200_000)
	queued := false
	eventually(t, "both are cut", func() bool {
		for range 5 {
			publishText(t, s, "a", text)
		}
		values, _ := scrape(t, admin)
		queued = queued || values["baro_queue_bytes"] > 0
		return values[`baro_slow_consumers_total{transport="ndjson"}`] == 1 && values[`baro_slow_consumers_total{transport="websocket"}`] == 1
	})
	if !queued {
		t.Error("nothing was seen in a queue")
	}
	wantMetrics(t, admin, map[string]float64{
		`baro_closes_total{code="slow",transport="ndjson"}`: 1, `baro_closes_total{code="1008",transport="websocket"}`: 1,
		`baro_connections{transport="ndjson"}`: 0, `baro_connections{transport="websocket"}`: 0, `baro_queue_bytes`: 0, `baro_subscriptions`: 0,
	})
}

// Labels are bounded, whatever clients and backends make up.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t, Config{Dev: true})
	few, _ := scrape(t, admin)
	for i := range 50 {
		name := strconv.Itoa(i)
		request(t, "GET", s.url("/nothing/"+name), "")
		request(t, "GET", s.url("/c/a?after="+name+"x"), "", "Origin", "https://"+name+".example")
		request(t, "GET", admin+"/api/v1/calls/"+name, "")
		request(t, http.MethodPost, s.url("/c/room"+name), name)
		c := dialSocket(t, s, "/c/a", nil)
		_ = c.Close(t.Context(), ws.StatusCode(4100+i), "")
	}
	many, _ := scrape(t, admin)
	if more := len(many) - len(few); more > 60 {
		t.Errorf("there are %d series more", more)
	}
	for series := range many {
		if strings.Contains(series, "room") || strings.Contains(series, "example") {
			t.Errorf("%s", series)
		}
	}
}
