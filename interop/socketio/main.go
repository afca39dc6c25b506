// Command socketio is a server that the published test suites of Engine.IO and Socket.IO can be run against, in one of the
// roles of peers/socketio/README.md.
//
//	socketio engineio4 127.0.0.1:3000
package main

import (
	"log"
	"net/http"
	"os"

	"baro.dev/interop/roles"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: socketio engineio3|engineio4|socketio5|clients ADDR")
	}
	handler, _, err := roles.New(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Args[2], handler))
}
