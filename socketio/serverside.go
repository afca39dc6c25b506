package socketio

import (
	"context"
	"fmt"

	"baro.dev/socketio/parser"
)

// ServerSideEmit sends an event to the other servers of a cluster (OnServerSide), not to this one. Without a cluster there are none,
// and nothing is done. connect, connection and new_namespace are refused.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	_, err := n.serverSideEmit(context.Background(), event, args, false)
	return err
}

// ServerSideEmitWithAck sends an event to the other servers of a cluster and waits for one value of each. With an error it
// returns those that have come. A server that is alone gets none at once.
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]parser.Value, error) {
	return n.serverSideEmit(ctx, event, args, true)
}

func (n *Namespace) serverSideEmit(ctx context.Context, event string, args []any, acknowledged bool) ([]parser.Value, error) {
	switch event {
	case "connect", "connection", "new_namespace": // mean something else to the listeners of the official server
		return nil, fmt.Errorf("socketio: ServerSideEmit: %q is a reserved event name", event)
	}
	return n.adapter.ServerSideEmit(ctx, parser.EventData(event, args...), acknowledged)
}

// OnServerSide registers a handler of an event that another server of a cluster has emitted. answer acknowledges it, if that is
// wanted; it may be called later, once. Handlers run one after another on the goroutine of the adapter.
func (n *Namespace) OnServerSide(event string, handle func(args Args, answer func(value any))) {
	add(&n.hooks, &n.serverSide, serverSideHandler{event, handle})
}

// ServerSideEvent runs the handlers of an event that another server has emitted. It is for adapters. answer is nil if
// no acknowledgement is wanted.
func (n *Namespace) ServerSideEvent(event parser.Data, answer func(value any)) {
	if answer == nil {
		answer = func(any) {}
	}
	for _, h := range listed(&n.hooks, &n.serverSide) {
		if h.name == event.Name() {
			h.handler(event, answer)
		}
	}
}
