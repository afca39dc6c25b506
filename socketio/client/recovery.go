package client

import (
	"bytes"
	"encoding/json"
	"fmt"

	"baro.dev/socketio/parser"
)

// recovering is what a socket says that wants to go on from where it was: beside its auth, by which session and after which event.
func recovering(auth any, pid, offset string) (any, error) {
	all := map[string]json.RawMessage{}
	if auth != nil {
		text, err := json.Marshal(auth)
		if err == nil && !bytes.Equal(text, []byte("null")) {
			err = json.Unmarshal(text, &all)
		}
		if err != nil {
			return nil, fmt.Errorf("socketio/client: Auth must be a JSON object: %w", err)
		}
	}
	said, err := json.Marshal(pid)
	if err != nil {
		return nil, err
	}
	all["pid"] = said
	if offset != "" {
		if all["offset"], err = json.Marshal(offset); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// note remembers the offset that an event has behind its arguments. The caller holds mu.
func (s *Socket) note(p *parser.Packet) {
	if n := p.Data.Len(); s.pid != "" && n > 0 {
		var offset string
		if p.Data.Value(n-1).Decode(&offset) == nil && offset != "" {
			s.offset = offset
		}
	}
}
