package socketio_test

import (
	"testing"
	"time"

	"baro.dev/socketio"
)

// "No CONNECT within connectTimeout -> close"; a client that has connected, even if it has left again, stays.
func TestConnectTimeout(t *testing.T) {
	io, url := start(t, &socketio.Options{ConnectTimeout: 3 * time.Second})
	synced(io)
	io.Of("/no").Use(func(*socketio.Socket) error { return &socketio.Error{Message: "no"} })
	silent, refused, connected, left := dial(t, url), dial(t, url), join(t, url, "0"), join(t, url, "0")
	refused.send("0/no")
	refused.expect(`4/no,{"message":"no"}`)
	left.send("1")
	silent.ended()
	refused.ended()
	connected.sync()
	left.connect("0")
	left.sync()
}
