package socketio

import "context"

// RemoteSocket is a socket of this or another server of a cluster, as it was when it was fetched.
type RemoteSocket struct {
	ID        string     `json:"id"`
	Handshake *Handshake `json:"handshake"`
	Rooms     []string   `json:"rooms"`
	// Data is what Socket.SetData has been given; that of another server as encoding/json decodes it. nil: nothing, or an empty
	// object, which is what servers tell each other if there is nothing.
	Data any `json:"data"`

	nsp *Namespace
}

// noData is what other servers are told of a socket without data: {}, as by the official server.
type noData struct{}

// Describe returns a socket as other servers of a cluster are told of it.
func (s *Socket) Describe() *RemoteSocket {
	data := s.Data()
	if data == nil {
		data = noData{}
	}
	return &RemoteSocket{ID: s.id, Handshake: s.Handshake(), Rooms: s.Rooms(), Data: data, nsp: s.nsp}
}

// fetched makes r one of n's, as the application sees it.
func (r *RemoteSocket) fetched(n *Namespace) {
	r.nsp = n
	switch data := r.Data.(type) {
	case noData:
		r.Data = nil
	case map[string]any:
		if len(data) == 0 {
			r.Data = nil
		}
	}
}

func (r *RemoteSocket) operator() BroadcastOperator {
	return BroadcastOperator{of: r.nsp, rooms: []string{r.ID}}
}

// Emit sends an event to the socket.
func (r *RemoteSocket) Emit(event string, args ...any) error {
	return r.operator().Emit(event, args...)
}

// EmitWithAck sends an event and waits for its acknowledgement. The error is a *PartialError if there is none.
func (r *RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	answers, err := r.operator().EmitWithAck(ctx, event, args...)
	switch {
	case err != nil:
		return Args{}, err
	case len(answers) == 0:
		return Args{}, ErrDisconnected
	}
	return answers[0], nil
}

// Join puts the socket into rooms.
func (r *RemoteSocket) Join(rooms ...string) { r.operator().SocketsJoin(rooms...) }

// Leave takes the socket out of rooms.
func (r *RemoteSocket) Leave(rooms ...string) { r.operator().SocketsLeave(rooms...) }

// Disconnect disconnects the socket; see Socket.Disconnect.
func (r *RemoteSocket) Disconnect(closeClient bool) { r.operator().DisconnectSockets(closeClient) }
