// Command zishang is the Socket.IO server of github.com/zishang520/socket.io, set up as its documentation does. It speaks
// the command line of `bench serve`. It is a module of its own since it needs another QUIC than baro.dev.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"
)

const room = socket.Room("room")

func main() {
	flag.String("server", "", "ignored")
	role := flag.String("role", "socketio", "socketio or socketio-room")
	listen := flag.String("listen", "127.0.0.1:0", "the address to listen on")
	heartbeat := flag.Int("heartbeat", 25000, "pingInterval in `milliseconds`")
	flag.Int("inflight", 0, "ignored")
	flag.Bool("takeover", false, "ignored")
	flag.Parse()
	if *role != "socketio" && *role != "socketio-room" {
		log.Fatalf("no role %s", *role)
	}
	options := socket.DefaultServerOptions()
	options.SetPingInterval(time.Duration(*heartbeat) * time.Millisecond)
	io := socket.NewServer(nil, nil)
	check(io.On("connection", func(args ...any) {
		client := args[0].(*socket.Socket)
		check(client.On("message", echo))
		if *role == "socketio-room" {
			client.Join(room)
			check(client.On("publish", func(args ...any) { check(io.To(room).Emit("message", args...)) }))
		}
	}))
	l, err := net.Listen("tcp", *listen)
	check(err)
	fmt.Printf("listening %v\n", l.Addr())
	go control()
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io.ServeHandler(options))
	log.Fatal(http.Serve(l, mux))
}

func echo(args ...any) {
	last := len(args) - 1
	args[last].(socket.Ack)(args[:last], nil)
}

func control() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "free" {
			debug.FreeOSMemory()
			fmt.Println("freed")
		}
	}
	os.Exit(0)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
