package redisadapter

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// takeBroadcast takes a broadcast. What is for rooms that nobody here is in is not decoded.
func (a *Adapter) takeBroadcast(channel, payload string) {
	if room := strings.TrimSuffix(channel[len(a.channel):], "#"); room != "" && !a.Concerns([]string{room}) {
		a.link.elsewhere.Add(1)
		return
	}
	m, err := readBroadcast(payload)
	if err != nil {
		a.link.ignore(err)
		return
	}
	if m.uid == a.link.uid {
		return
	}
	if !a.Concerns(m.options.Rooms) {
		a.link.elsewhere.Add(1)
		return
	}
	p, err := readPacket(m.packet)
	if err != nil {
		a.link.ignore(err)
		return
	}
	if p.Namespace != a.name {
		return // the name of this one begins that of another
	}
	if err := a.MemoryAdapter.Broadcast(p, &m.options); err != nil {
		a.link.ignore(err)
	}
}

// takeRequest takes a request.
func (a *Adapter) takeRequest(_, payload string) {
	r, err := readRequest(payload)
	if err == nil && r.uid != a.link.uid {
		err = a.serveRequest(r)
	}
	if err != nil {
		a.link.ignore(err)
	}
}

func (a *Adapter) serveRequest(r *incoming) error {
	switch r.kind {
	case requestSockets, requestAllRooms, remoteFetch:
		if r.asked {
			a.later(&a.link.answers, func() { a.describe(r) })
		}
	case remoteJoin, remoteLeave, remoteDisconnect:
		a.change(r)
	case serverSideEmit:
		a.serverSideEvent(r)
	case broadcastWithAck:
		if !r.asked || r.packet.Namespace != a.name {
			return errWrong
		}
		return a.serve(r)
	default:
		return errWrong
	}
	return nil
}

// later has something done by another goroutine, which may take its time.
func (a *Adapter) later(t *turns, f func()) {
	if !t.add(f) {
		a.link.ignored.Add(1)
		a.link.notices.warn("redisadapter: requests of other servers come faster than they are handled", errBusy)
	}
}

// describe answers what there is here.
func (a *Adapter) describe(r *incoming) {
	answer := map[string]any{"requestId": r.id}
	switch r.kind {
	case requestSockets:
		answer["sockets"] = append([]string{}, a.Sockets(r.rooms)...)
	case requestAllRooms:
		answer["rooms"] = append([]string{}, a.ownRooms()...)
	default:
		sockets, _ := a.MemoryAdapter.FetchSockets(context.Background(), &r.options)
		answer["sockets"] = append([]*socketio.RemoteSocket{}, sockets...)
	}
	a.respond(r, answer)
}

func (a *Adapter) respond(r *incoming, answer any) {
	data, err := json.Marshal(answer)
	if err != nil { // the data of a socket
		a.link.notices.warn("redisadapter: an answer to another server cannot be encoded", err)
		return
	}
	_ = a.link.out.publish(a.answerChannel(r), data)
}

// answerChannel is where a request is answered.
func (a *Adapter) answerChannel(r *incoming) string {
	if a.link.set.PublishOnSpecificResponseChannel {
		return a.responseChannel + r.uid + "#"
	}
	return a.responseChannel
}

// change has sockets join, leave or go: those that are aimed at, or one in the form of older servers, which is answered.
func (a *Adapter) change(r *incoming) {
	o, rooms := &r.options, r.rooms
	if !r.aimed {
		if r.sid == "" || a.Namespace().Socket(r.sid) == nil {
			return
		}
		o, rooms = &socketio.BroadcastOptions{Rooms: []string{r.sid}}, []string{r.room}
	}
	switch r.kind {
	case remoteJoin:
		for i := range rooms {
			rooms[i] = strings.Clone(rooms[i]) // the room outlasts the message
		}
		a.MemoryAdapter.AddSockets(o, rooms)
	case remoteLeave:
		a.MemoryAdapter.DelSockets(o, rooms)
	default:
		a.MemoryAdapter.DisconnectSockets(o, r.close)
	}
	if !r.aimed {
		a.respond(r, map[string]string{"requestId": r.id})
	}
}

// serverSideEvent has the handlers of an event of another server called.
func (a *Adapter) serverSideEvent(r *incoming) {
	var answer func(any)
	if r.asked {
		var answered atomic.Bool
		answer = func(v any) {
			if answered.CompareAndSwap(false, true) {
				a.answerEvent(r.id, v)
			}
		}
	}
	a.later(&a.events, func() { a.Namespace().ServerSideEvent(r.event, answer) })
}

// answerEvent sends what a handler has answered, always to all, as the official adapter does.
func (a *Adapter) answerEvent(id string, v any) {
	t := parser.GetText()
	defer parser.PutText(t)
	if err := t.AppendGo(v); err != nil {
		a.link.notices.warn("redisadapter: an answer to another server cannot be encoded", err)
		return
	}
	_ = a.link.out.publish(a.responseChannel, encodeWith(t, "data", "", id, serverSideEmit))
}

func encodeClientCount(id string, n int) []byte {
	data, _ := json.Marshal(struct {
		Type        int    `json:"type"`
		RequestID   string `json:"requestId"`
		ClientCount int    `json:"clientCount"`
	}{broadcastClientCount, id, n})
	return data
}
