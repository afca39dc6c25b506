package ws_test

import (
	"flag"
	"os"
	"testing"

	"baro.dev/ws"
)

// The suite is run on both drivers: with -args -loops=-1 on that of goroutines, which TLS, HTTP/2 and other systems have.
func TestMain(m *testing.M) {
	loops := flag.Int("loops", 0, "what `n`umber of event loops a Server has that names none; -1: none at all")
	flag.Parse()
	ws.SetDefaultLoops(*loops)
	os.Exit(m.Run())
}
