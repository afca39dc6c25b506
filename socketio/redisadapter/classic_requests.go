package redisadapter

import (
	"context"
	"slices"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// request is a question to all other servers. The mutex of the adapter guards it.
type request struct {
	kind    int
	others  int // that are asked
	answers []*response
	err     error
	ended   bool
	done    chan struct{}
}

func (r *request) end(err error) {
	if !r.ended {
		r.ended, r.err = true, err
		close(r.done)
	}
}

// ask sends a request and waits for the answers of all other servers. With an error it returns those that have come.
func (a *Adapter) ask(ctx context.Context, kind int, encode func(id string) ([]byte, error)) ([]*response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.link.set.RequestsTimeout, socketio.ErrTimeout)
	defer cancel()
	others, err := a.others(ctx)
	if err != nil || others == 0 {
		return nil, err
	}
	r := &request{kind: kind, others: others, done: make(chan struct{})}
	id := newID()
	message, err := encode(id)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil, ErrClosed
	}
	a.requests[id] = r
	a.mu.Unlock()
	if err = a.link.out.publish(a.requestChannel, message); err == nil {
		select {
		case <-r.done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.requests, id)
	r.ended = true
	if err == nil {
		err = r.err
	}
	if missing := others - len(r.answers); err != nil && missing > 0 {
		return r.answers, &socketio.ServersError{Answered: len(r.answers), Missing: missing, Err: err}
	}
	return r.answers, nil
}

// FetchSockets returns the sockets of all servers. If some servers have not answered the error is a *socketio.ServersError, and the sockets
// of the others are returned with it.
func (a *Adapter) FetchSockets(ctx context.Context, o *socketio.BroadcastOptions) ([]*socketio.RemoteSocket, error) {
	all, err := a.MemoryAdapter.FetchSockets(ctx, o)
	if o.Flags.Local || err != nil {
		return all, err
	}
	answers, err := a.ask(ctx, remoteFetch, func(id string) ([]byte, error) {
		r := requestJSON{UID: a.link.uid, RequestID: id, Type: remoteFetch, Opts: newTargetJSON(o)}
		return r.encode(), nil
	})
	for _, answer := range answers {
		sockets, wrong := answer.remote()
		if wrong != nil {
			a.link.ignore(wrong)
		}
		all = append(all, sockets...)
	}
	return all, err
}

// AllRooms returns the names of the rooms of all servers, those of sockets alone among them, which are their ids. If some servers have
// not answered the error is a *socketio.ServersError, and the rooms of the others are returned with it.
func (a *Adapter) AllRooms(ctx context.Context) ([]string, error) {
	all := a.ownRooms()
	answers, err := a.ask(ctx, requestAllRooms, func(id string) ([]byte, error) {
		r := requestJSON{UID: a.link.uid, RequestID: id, Type: requestAllRooms}
		return r.encode(), nil
	})
	for _, answer := range answers {
		all = append(all, answer.rooms...)
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

func (a *Adapter) ownRooms() []string {
	all := a.Sockets(nil)
	for name := range a.Rooms() {
		all = append(all, name)
	}
	return all
}

// ServerSideEmit sends an event to the other servers. If it is to be acknowledged and some have not answered the error is a
// *socketio.ServersError, and the values of the others are returned with it.
func (a *Adapter) ServerSideEmit(ctx context.Context, event parser.Data, acknowledged bool) ([]parser.Value, error) {
	if !acknowledged {
		message, err := a.serverEvent("", &event)
		if err == nil {
			_ = a.link.out.publish(a.requestChannel, message)
		}
		return nil, err
	}
	answers, err := a.ask(ctx, serverSideEmit, func(id string) ([]byte, error) { return a.serverEvent(id, &event) })
	values := make([]parser.Value, len(answers))
	for i, answer := range answers {
		values[i] = answer.data
	}
	return values, err
}

// serverEvent encodes an event for servers. id is "" if it is not to be acknowledged.
func (a *Adapter) serverEvent(id string, event *parser.Data) ([]byte, error) {
	return encodeServerEvent(a.link.uid, id, event)
}

// encodeServerEvent gives JSON, as the official adapter does; where that cannot be, because there is something binary in the event,
// MessagePack, which it understands as well.
func encodeServerEvent(uid, id string, event *parser.Data) ([]byte, error) {
	t := parser.GetText()
	defer parser.PutText(t)
	t.JSON = append(t.JSON, '[')
	t.AppendString(event.Name())
	for i, v := range event.All() {
		t.JSON = append(t.JSON, ',')
		if err := t.AppendValue(v); err != nil {
			return nil, &parser.ArgumentError{Index: i, Err: err}
		}
	}
	t.JSON = append(t.JSON, ']')
	return encodeWith(t, "data", uid, id, serverSideEmit), nil
}

// encodeWith gives an object of a type whose member name is the value in t.
func encodeWith(t *parser.Text, name, uid, id string, kind int) []byte {
	members := []string{"uid", uid, "requestId", id}
	if len(t.Binaries) > 0 {
		size := uint32(2)
		for i := 0; i < len(members); i += 2 {
			if members[i+1] != "" {
				size++
			}
		}
		b := msgp.AppendMapHeader(nil, size)
		for i := 0; i < len(members); i += 2 {
			if members[i+1] != "" {
				b = msgp.AppendString(msgp.AppendString(b, members[i]), members[i+1])
			}
		}
		b = msgp.AppendInt(msgp.AppendString(b, "type"), kind)
		return msgpack.AppendText(msgp.AppendString(b, name), t)
	}
	object := parser.GetText()
	defer parser.PutText(object)
	object.JSON = append(object.JSON, `{"type":`...)
	object.JSON = append(object.JSON, '0'+byte(kind))
	for i := 0; i < len(members); i += 2 {
		if members[i+1] != "" {
			object.JSON = append(append(append(object.JSON, `,"`...), members[i]...), `":`...)
			object.AppendString(members[i+1])
		}
	}
	object.JSON = append(append(append(object.JSON, `,"`...), name...), `":`...)
	object.JSON = append(object.JSON, t.JSON...)
	return append(make([]byte, 0, len(object.JSON)+1), append(object.JSON, '}')...)
}

// takeResponse takes an answer.
func (a *Adapter) takeResponse(_, payload string) {
	r, err := readResponse(payload)
	if err != nil {
		a.link.ignore(err)
		return
	}
	a.mu.Lock()
	acks := a.acks[r.id]
	waiting := a.requests[r.id]
	if waiting != nil && !waiting.ended {
		if waiting.wants(r) {
			if waiting.answers = append(waiting.answers, r); len(waiting.answers) >= waiting.others {
				waiting.end(nil)
			}
		} else {
			err = errWrong
		}
	}
	a.mu.Unlock()
	if acks != nil {
		err = acks.take(r)
	}
	if err != nil {
		a.link.ignore(err)
	}
}

// wants reports whether an answer is one to the request.
func (r *request) wants(answer *response) bool {
	switch r.kind {
	case remoteFetch:
		return answer.sockets != nil || !answer.packed.IsZero()
	case requestAllRooms:
		return answer.hasRoom
	}
	return answer.kind == serverSideEmit
}
