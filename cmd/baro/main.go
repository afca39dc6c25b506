// Baro is real-time connections from the command line: baro serve is the server.
package main

import (
	"io"
	"log"
	"os"

	_ "baro.dev/internal/extendedconnect" // WebSocket over HTTP/2
)

func main() {
	log.SetOutput(io.Discard) // where net/http tells of answers that nobody asked for; serve has its own log
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}
