package clusteradapter

import (
	"bytes"
	"fmt"
	"strconv"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// Encode gives the whole message: in JSON, or in MessagePack if there is anything binary in it.
func (m *Message) Encode() ([]byte, error) {
	t := parser.GetText()
	defer parser.PutText(t)
	if err := m.append(t); err != nil {
		return nil, err
	}
	if len(t.Binaries) > 0 {
		return msgpack.AppendText(nil, t), nil
	}
	return bytes.Clone(t.JSON), nil
}

// EncodeMsgpack gives the whole message in MessagePack.
func (m *Message) EncodeMsgpack() ([]byte, error) {
	t := parser.GetText()
	defer parser.PutText(t)
	if err := m.append(t); err != nil {
		return nil, err
	}
	return msgpack.AppendText(nil, t), nil
}

// EncodeData gives what the message carries besides its uid, namespace and type: in JSON, or in MessagePack if there is anything
// binary in it; nil if that is nothing.
func (m *Message) EncodeData() (data []byte, packed bool, err error) {
	t := parser.GetText()
	defer parser.PutText(t)
	if err := m.appendData(t); err != nil || len(t.JSON) == 0 {
		return nil, false, err
	}
	if len(t.Binaries) > 0 {
		return msgpack.AppendText(nil, t), true, nil
	}
	return bytes.Clone(t.JSON), false, nil
}

func (m *Message) append(t *parser.Text) error {
	put(t, `{"type":`)
	t.JSON = strconv.AppendInt(t.JSON, int64(m.Type), 10)
	put(t, `,"data":`)
	before := len(t.JSON)
	if err := m.appendData(t); err != nil {
		return err
	}
	if len(t.JSON) == before {
		t.JSON = t.JSON[:before-len(`,"data":`)]
	}
	put(t, `,"uid":`)
	t.AppendString(m.UID)
	put(t, `,"nsp":`)
	t.AppendString(m.Namespace)
	put(t, `}`)
	return nil
}

func put(t *parser.Text, text string) { t.JSON = append(t.JSON, text...) }

// appendData writes the members in the order in which the official adapters have them.
func (m *Message) appendData(t *parser.Text) error {
	switch m.Type {
	case InitialHeartbeat, Heartbeat, AdapterClose:
		return nil
	case Broadcast:
		put(t, `{"packet":{"type":`)
		t.JSON = strconv.AppendInt(t.JSON, int64(m.Packet.Type), 10)
		put(t, `,"data":`)
		if err := t.AppendData(&m.Packet.Data); err != nil {
			return err
		}
		put(t, `}`)
		m.appendRequest(t, `,`)
		put(t, `,`)
		appendOptions(t, m.Options)
	case SocketsJoin, SocketsLeave:
		put(t, `{`)
		appendOptions(t, m.Options)
		put(t, `,"rooms":`)
		appendStrings(t, m.Rooms)
	case DisconnectSockets:
		put(t, `{`)
		appendOptions(t, m.Options)
		put(t, `,"close":`)
		t.JSON = strconv.AppendBool(t.JSON, m.Close)
	case FetchSockets:
		put(t, `{`)
		appendOptions(t, m.Options)
		m.appendRequest(t, `,`)
	case FetchSocketsResponse:
		m.appendRequest(t, `{`)
		put(t, `,"sockets":`)
		if len(m.Sockets) == 0 {
			put(t, `[]`)
		} else if err := t.AppendGo(m.Sockets); err != nil {
			return err
		}
	case ServerSideEmit:
		put(t, `{`)
		if m.RequestID != "" {
			m.appendRequest(t, ``)
			put(t, `,`)
		}
		put(t, `"packet":`)
		if err := t.AppendData(&m.Event); err != nil {
			return err
		}
	case ServerSideEmitResponse, BroadcastAck:
		m.appendRequest(t, `{`)
		put(t, `,"packet":`)
		if err := t.AppendGo(m.Value); err != nil {
			return err
		}
	case BroadcastClientCount:
		m.appendRequest(t, `{`)
		put(t, `,"clientCount":`)
		t.JSON = strconv.AppendInt(t.JSON, int64(m.Clients), 10)
	default:
		return fmt.Errorf("clusteradapter: there is no message of type %d", m.Type)
	}
	put(t, `}`)
	return nil
}

func (m *Message) appendRequest(t *parser.Text, before string) {
	if m.RequestID == "" {
		return
	}
	put(t, before)
	put(t, `"requestId":`)
	t.AppendString(m.RequestID)
}

func appendOptions(t *parser.Text, o *socketio.BroadcastOptions) {
	put(t, `"opts":{"rooms":`)
	appendStrings(t, o.Rooms)
	put(t, `,"except":`)
	appendStrings(t, o.Except)
	put(t, `,"flags":{`)
	before := len(t.JSON)
	flag := func(text string) {
		if len(t.JSON) > before {
			put(t, `,`)
		}
		put(t, text)
	}
	if o.Flags.Volatile {
		flag(`"volatile":true`)
	}
	if o.Flags.Uncompress {
		flag(`"compress":false`)
	}
	if o.Flags.Timeout > 0 {
		flag(`"timeout":`)
		t.JSON = strconv.AppendInt(t.JSON, max(1, o.Flags.Timeout.Milliseconds()), 10)
	}
	put(t, `}}`)
}

func appendStrings(t *parser.Text, list []string) {
	put(t, `[`)
	for i, s := range list {
		if i > 0 {
			put(t, `,`)
		}
		t.AppendString(s)
	}
	put(t, `]`)
}
