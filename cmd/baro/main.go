// Baro is real-time connections from the command line: baro serve is the server.
package main

import (
	"os"

	_ "baro.dev/internal/extendedconnect" // WebSocket over HTTP/2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}
