package requesthead

import "testing"

// What this package takes, net/http takes, and makes the same request of it.
func FuzzParse(f *testing.F) {
	for _, head := range wellFormed {
		f.Add(head)
	}
	for _, head := range others {
		if len(head) < 1000 {
			f.Add(head)
		}
	}
	server := newNetHTTP(f)
	f.Fuzz(func(t *testing.T, input string) {
		checkSame(t, server, input)
		checkCuts(t, "input", input)
	})
}

// The same in the parts of a request that is an upgrade otherwise.
func FuzzParts(f *testing.F) {
	f.Add("/ws?a=b", "example.com", "websocket", "keep-alive, Upgrade", "x-name", "value")
	f.Add("http://u@[::1]:80/%41?", "[::1%25]", "WebSocket", ",upgrade ,x", "Pragma", "no-cache")
	f.Add("*", "a\r\nB: c", "websocket ", "upgrade,close", "Content-Length", "0")
	server := newNetHTTP(f)
	f.Fuzz(func(t *testing.T, uri, host, upgrade, connection, name, value string) {
		checkSame(t, server, target(uri)+"Host: "+host+"\r\nUpgrade: "+upgrade+"\r\nConnection: "+connection+"\r\n"+
			name+": "+value+"\r\n\r\n"+value)
	})
}
