package ws_test

import (
	"strings"
	"testing"

	"baro.dev/ws"
)

// What is not to be compressed is not, with and without context takeover, and what follows is understood.
func TestUncompressed(t *testing.T) {
	text := strings.Repeat("all the same ", 200)
	for name, extension := range map[string]string{"plain": "", "compressed": noTakeover, "with takeover": takeover} {
		t.Run(name, func(t *testing.T) {
			c := crowd{name: name, loops: oneLoop(), compression: extension}
			f := openForum(t, c.server())
			var lines []string
			if extension != "" {
				lines = []string{"Sec-WebSocket-Extensions: " + extension}
			}
			p, s := f.member(t, "peer", false, lines...)
			m := prepared(t, text)
			several, err := ws.NewPreparedMessages(ws.Message{Type: ws.Text, Data: []byte(text)}, ws.Message{Type: ws.Text, Data: []byte(text)})
			if err != nil {
				t.Fatal(err)
			}
			size := func(send func()) int {
				send()
				piece, err := oneRead(p.Conn)
				if err != nil {
					t.Fatal(err)
				}
				return len(piece)
			}
			for range 2 {
				for what, send := range map[string]func(){
					"SendUncompressed":                 func() { s.SendUncompressed(ws.Text, []byte(text)) },
					"SendPrepared of Uncompressed":     func() { s.SendPrepared(m.Uncompressed()) },
					"several of Uncompressed":          func() { s.SendPrepared(several.Uncompressed()) },
					"Multicast of Uncompressed":        func() { f.Multicast([]*ws.Socket{s}, m.Uncompressed()) },
					"several of Uncompressed, to many": func() { f.Multicast([]*ws.Socket{s}, several.Uncompressed()) },
				} {
					if n := size(send); n < len(text) {
						t.Errorf("%s took %d bytes", what, n)
					}
				}
				if n := size(func() { s.Send(ws.Text, []byte(text)) }); n < len(text) != (extension != "") {
					t.Errorf("Send took %d bytes", n)
				}
			}
		})
	}
}
