package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
)

// nodes are servers of one cluster, each a process of its own.
type nodes struct {
	t     *testing.T
	each  [][]string // the arguments of each
	procs []*process
	URLs  []string // each with a slash at its end; another one after start

	inside []string // the network namespaces that they are in, by their names; nil: that of the test
}

// startNodes starts n servers that are joined as args say, in development, each on a port of its own, and waits until all are ready.
// With --cluster each has a directory and an address for the others.
func startNodes(t *testing.T, n int, args ...string) *nodes {
	t.Helper()
	return startNodesWith(t, n, func(int) []string { return nil }, args...)
}

// startNodesWith is startNodes with arguments that are each one's own.
func startNodesWith(t *testing.T, n int, each func(i int) []string, args ...string) *nodes {
	t.Helper()
	return startNodesIn(t, n, nil, each, args...)
}

// startNodesIn is startNodesWith in network namespaces, where arguments that come later say at which addresses.
func startNodesIn(t *testing.T, n int, inside []string, each func(i int) []string, args ...string) *nodes {
	t.Helper()
	k := &nodes{t: t, procs: make([]*process, n), URLs: make([]string, n), inside: inside}
	peers := testkit.FreeAddresses(t, n)
	for i := range n {
		own := append([]string{"--listen", "127.0.0.1:0", "--log-format", "json", "--node-name", fmt.Sprintf("node-%d", i)}, args...)
		if args[0] == "--cluster" {
			own = append(own, "--data", t.TempDir(), "--no-sync")
			if inside == nil {
				own = append(own, "--cluster-listen", peers[i], "--cluster-peers", strings.Join(peers, ","))
			}
		}
		own = append(own, each(i)...)
		k.each = append(k.each, own)
		k.start(i)
	}
	for i := range n {
		k.waitReady(i, true)
	}
	return k
}

// start starts a server, again if it has ended: with its directory and its address for the others.
func (k *nodes) start(i int) {
	k.t.Helper()
	if k.inside == nil {
		k.procs[i] = serveCommand(k.t, nil, k.each[i]...)
	} else {
		c := command(k.t, append([]string{"serve", "--dev"}, k.each[i]...)...)
		c.Args = append([]string{"ip", "netns", "exec", k.inside[i], c.Path}, c.Args[1:]...)
		c.Path = "/usr/sbin/ip"
		k.procs[i] = startProcess(k.t, c, []string{"BARO_CLUSTER_SECRET=a secret for the nodes of a test"})
	}
	k.URLs[i] = k.procs[i].url
}

// kill kills one, and waits for its end.
func (k *nodes) kill(i int) {
	k.t.Helper()
	_ = k.procs[i].Process.Kill()
	_ = k.procs[i].Wait()
}

// waitReady waits until /readyz says what is wanted.
func (k *nodes) waitReady(i int, want bool) {
	k.t.Helper()
	var body string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var status int
		status, body = get(k.t, k.URLs[i]+"readyz")
		if status == http.StatusOK == want {
			return
		}
	}
	k.t.Fatalf("node %d is not ready: %v within a minute: %s", i, !want, body)
}

// publish publishes by one of them, and says whether that was acknowledged.
func (k *nodes) publish(i int, channel, data string) (int, string) {
	k.t.Helper()
	body, err := json.Marshal(map[string]string{"channel": channel, "data": data})
	if err != nil {
		k.t.Fatal(err)
	}
	response, err := http.Post(k.URLs[i]+"api/v1/publish", "application/json", strings.NewReader(string(body)))
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// history is what one of them has of a channel, which is answered in parts.
func (k *nodes) history(i int, channel string) (texts []string) {
	k.t.Helper()
	next := 0
	for after := ""; ; {
		var h struct {
			Messages []struct {
				Data   string `json:"data"`
				Offset int    `json:"offset"`
			} `json:"messages"`
			Next string `json:"next"`
			More bool   `json:"more"`
		}
		status, body := get(k.t, k.URLs[i]+"api/v1/history?limit=10000&channel="+channel+after)
		if err := json.Unmarshal([]byte(body), &h); err != nil || status != http.StatusOK {
			k.t.Fatalf("node %d: %d %s", i, status, body)
		}
		for _, m := range h.Messages {
			if next > 0 && m.Offset != next {
				k.t.Fatalf("node %d: after offset %d comes %d", i, next-1, m.Offset)
			}
			next = m.Offset + 1
			texts = append(texts, m.Data)
		}
		if !h.More {
			return texts
		}
		after = "&after=" + h.Next
	}
}

// agree wants all of some to have the same history.
func (k *nodes) agree(channel string, want []string, at ...int) {
	k.t.Helper()
	for _, i := range at {
		if have := k.history(i, channel); strings.Join(have, " ") != strings.Join(want, " ") {
			k.t.Errorf("node %d has %q, not %q", i, have, want)
		}
	}
}

// crosses publishes at each, and wants the others to have it.
func (k *nodes) crosses(channel string) {
	k.t.Helper()
	var want []string
	var at []int
	for i := range k.procs {
		data := fmt.Sprintf("of-%d", i)
		if status, body := k.publish(i, channel, data); status != http.StatusOK {
			k.t.Fatalf("node %d: %d %s", i, status, body)
		}
		want, at = append(want, data), append(at, i)
	}
	k.agree(channel, want, at...)
	wanted := "node-0 node-1 node-2"[:7*len(k.procs)-1]
	var body, found string
	for end := time.Now().Add(time.Minute); found != wanted; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			k.t.Fatalf("the nodes are %s", body)
		}
		found, body = k.ready(0)
	}
}

// ready has one of them name those that are ready.
func (k *nodes) ready(i int) (names, body string) {
	k.t.Helper()
	var answer struct {
		Nodes []struct {
			Name  string `json:"name"`
			Ready bool   `json:"ready"`
		} `json:"nodes"`
	}
	_, body = get(k.t, k.URLs[i]+"api/v1/nodes")
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		k.t.Fatal(err)
	}
	var all []string
	for _, n := range answer.Nodes {
		if n.Ready {
			all = append(all, n.Name)
		}
	}
	return strings.Join(all, " "), body
}

// taken publishes by one of them, again and again until that is acknowledged: whoever leads may have gone, and there is another one within
// seconds.
func (k *nodes) taken(i int, channel, data string) {
	k.t.Helper()
	body := fmt.Sprintf(`{"channel":%q,"data":%q,"key":"key of %s"}`, channel, data, data)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Post(k.URLs[i]+"api/v1/publish", "application/json", strings.NewReader(body))
		if err != nil {
			k.t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(end) {
			k.t.Fatalf("node %d does not take %s within a minute: status %d", i, data, response.StatusCode)
		}
	}
}

// TestClusterOfThree has one of three stop, which the others hardly notice, and come back.
func TestClusterOfThree(t *testing.T) {
	t.Parallel()
	k := startNodes(t, 3, "--cluster")
	k.crosses("news")
	if code := k.procs[2].stop(t, os.Interrupt); code != exit.OK {
		t.Fatalf("exit code %d: %s", code, k.procs[2].log)
	}
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprint(i))
		k.taken(i%2, "more", want[i])
	}
	k.agree("more", want, 0, 1)
	k.start(2)
	k.waitReady(2, true)
	k.agree("more", want, 0, 1, 2)
}

// TestClusterKilled has one of three killed and come back, and two of three be too few.
func TestClusterKilled(t *testing.T) {
	if os.Getenv("BARO_PROOF") == "" {
		t.Skip("takes a minute: make prove")
	}
	t.Parallel()
	k := startNodes(t, 3, "--cluster")
	k.kill(2)
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprint(i))
		k.taken(i%2, "more", want[i])
	}
	k.agree("more", want, 0, 1)
	k.start(2)
	k.waitReady(2, true)
	k.agree("more", want, 0, 1, 2)

	k.kill(1)
	k.kill(2)
	k.waitReady(0, false)
	if status, body := k.publish(0, "lost", "lost"); status != http.StatusServiceUnavailable && status != http.StatusGatewayTimeout {
		t.Errorf("one of three publishes: %d %s", status, body)
	}
	k.start(1)
	k.waitReady(0, true)
	k.waitReady(1, true)
	k.taken(0, "more", "10")
	k.agree("more", append(want, "10"), 0, 1)
	for i := range 2 {
		if code := k.procs[i].stop(t, os.Interrupt); code != exit.OK {
			t.Errorf("node %d: exit code %d: %s", i, code, k.procs[i].log)
		}
	}
}

// TestClusterByRedis and the one below join servers by what is there already.
func TestClusterByRedis(t *testing.T) {
	t.Parallel()
	redis := brokers.Redis(t)
	startNodes(t, 3, "--redis", "redis://"+redis.Addr).crosses("news")
}

func TestClusterByNATS(t *testing.T) {
	t.Parallel()
	nats := brokers.NATS(t)
	startNodes(t, 3, "--nats", "nats://"+nats.Addr).crosses("news")
}
