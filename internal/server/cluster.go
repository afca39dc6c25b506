package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/clients"
	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/backbone"
	"baro.dev/internal/cluster/carry"
	"baro.dev/internal/cluster/presence"
)

// joined is a server among the others of its cluster. The methods of a nil one are those of a server that is alone.
type joined struct {
	server    *Server
	backbone  *backbone.Backbone
	broker    *watchedBroker
	node      *cluster.Node
	carrier   *carry.Carrier
	occupancy *occupancy
	presence  *presence.Peers

	ctx    context.Context // done when the server ends
	cancel context.CancelFunc
	work   sync.WaitGroup

	away atomic.Pointer[absence] // nil: the broker is there
	look chan struct{}           // has the shelf looked at; holds one
}

const (
	// askWithin is how long other servers may take for an answer to the API.
	askWithin = 3 * time.Second
	// maxAsked is how many questions of one kind other servers may have under way here: each call to a device is one.
	maxAsked = 1024
)

// nodeState is what the others see of a server without asking.
type nodeState struct {
	Draining bool `json:"draining"`
}

// joins says whether the server is to be one of several.
func (s *Server) joins() bool { return s.config.Backbone != nil || s.config.Cluster.Given() }

// newJoined joins the others, if the configuration has a cluster.
func newJoined(s *Server) (*joined, error) {
	if s.nodeName = s.config.Cluster.Node; s.nodeName == "" {
		s.nodeName, _ = os.Hostname()
	}
	b := s.config.Backbone
	if b == nil {
		if !s.config.Cluster.Given() {
			return nil, nil
		}
		var err error
		if b, err = backbone.Open(s.config.Cluster, backbone.Options{
			Dir: s.config.Data, NoSync: s.config.NoSync, MaxMessageBytes: s.config.Channels.MaxMessageBytes, Log: s.log,
		}); err != nil {
			return nil, err
		}
	}
	j := &joined{server: s, backbone: b, look: make(chan struct{}, 1), occupancy: newOccupancy()}
	j.broker = &watchedBroker{Broker: b.Broker, backbone: b, metrics: s.metrics}
	state, _ := json.Marshal(nodeState{})
	var err error
	j.node, err = cluster.Join(b.Bus, cluster.Options{
		Name: s.nodeName, Version: s.config.Version, State: state, MaxAtOnce: maxAsked, Logger: s.log,
	})
	if err != nil {
		_ = b.Broker.Close()
		j.closeBus()
		return nil, err
	}
	j.presence = presence.New(j.node, b.Bus, presence.Options{Logger: s.log})
	j.carrier = carry.New(j.node, carry.Options{Logger: s.log})
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j, nil
}

// start begins to answer the others, when everything is there that they ask for.
func (j *joined) start() {
	if j == nil {
		return
	}
	j.handle()
	j.node.OnPeer(j.peerChanged)
	j.node.OnGap(j.lookAtShelf)
	j.watch(time.Now())
	j.work.Go(func() { _ = j.carrier.Serve(http.HandlerFunc(j.server.socketIO.serveCarried)) })
	j.work.Go(j.watchBroker)
	j.work.Go(j.watchShelf)
	for _, queue := range j.occupancy.queues {
		j.work.Go(func() { j.tellOccupancy(queue) })
	}
	j.lookAtShelf()
	j.server.log.Info("the server is a node of a cluster", "node", j.node.ID(), "cluster", j.server.config.Cluster.Name)
}

// peerChanged has the shelf looked at when another server has gone, for what it had in hand.
func (j *joined) peerChanged(_ cluster.Peer, there bool) {
	if !there {
		j.lookAtShelf()
	}
}

// lookAtShelf has the shelf looked at soon.
func (j *joined) lookAtShelf() {
	select {
	case j.look <- struct{}{}:
	default:
	}
}

// shelfRetry is when the shelf is looked at again that could not be had.
const shelfRetry = 5 * time.Second

func (j *joined) watchShelf() {
	again := time.NewTimer(shelfRetry)
	again.Stop()
	defer again.Stop()
	for {
		select {
		case <-j.look:
		case <-again.C:
		case <-j.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(j.ctx, shelfRetry)
		err := j.server.registry.LookAtShelf(ctx)
		cancel()
		if err != nil {
			j.server.log.Debug("what the cluster holds cannot be had yet", "error", err)
			again.Reset(shelfRetry)
		}
	}
}

// drains tells the others that the server stops.
func (j *joined) drains() {
	if j == nil {
		return
	}
	state, _ := json.Marshal(nodeState{Draining: true})
	if err := j.node.SetState(state); err != nil {
		j.server.log.Warn("the other nodes were not told that this one stops", "error", err)
	}
}

// carrying is how many WebSockets are carried from here.
func (j *joined) carrying() int {
	if j == nil {
		return 0
	}
	return j.carrier.Stats().OpenSockets
}

// leave says goodbye, when the hub has closed the broker, and ends what joins the servers.
func (j *joined) leave(ctx context.Context) {
	if j == nil {
		return
	}
	j.presence.Close()
	j.cancel()
	_ = j.carrier.Close()
	if err := j.node.Leave(ctx); err != nil && !errors.Is(err, cluster.ErrClosed) {
		j.server.log.Debug("leaving the cluster", "error", err)
	}
	j.work.Wait()
	j.closeBus()
}

func (j *joined) closeBus() {
	if err := j.backbone.Bus.Close(); err != nil && !errors.Is(err, cluster.ErrClosed) {
		j.server.log.Debug("closing the bus", "error", err)
	}
	if j.backbone.Close != nil {
		j.backbone.Close()
	}
}

// askAll asks all other servers, and gives their answers by their ids; missing are those that gave none.
func askAll[Answer any](ctx context.Context, j *joined, kind string, question any) (answers map[string]Answer, missing []string) {
	if j == nil {
		return nil, nil
	}
	text, err := json.Marshal(question)
	if err != nil {
		panic(err) // our own types
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	raw, missing, err := j.node.AskAll(ctx, kind, text)
	if err != nil {
		j.server.log.Warn("the other nodes cannot be asked", "kind", kind, "error", err)
		for _, p := range j.node.Peers() {
			missing = append(missing, p.ID)
		}
	}
	answers = make(map[string]Answer, len(raw))
	for node, text := range raw {
		var a Answer
		if err := json.Unmarshal(text, &a); err != nil {
			missing = append(missing, node)
			continue
		}
		answers[node] = a
	}
	slices.Sort(missing)
	return answers, slices.Compact(missing)
}

// respond has this server answer questions of a kind.
func respond[Question, Answer any](j *joined, kind string, f func(ctx context.Context, q Question) (Answer, error)) {
	j.node.Handle(kind, func(ctx context.Context, _ string, data []byte) ([]byte, error) {
		var q Question
		if err := json.Unmarshal(data, &q); err != nil {
			return nil, clients.ErrRequest
		}
		a, err := f(ctx, q)
		if err != nil {
			return nil, err
		}
		return json.Marshal(a)
	})
}
