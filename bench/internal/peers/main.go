//go:build linux

package peers

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"time"
)

// Main is the command line that every server speaks, these and those that others bring: it listens on an address of
// loopback, says "listening ADDRESS" in a line on standard output, with the number of its process behind it if that is not
// the one that was started, and the address behind that where to publish if it is another, and ends with its standard input. To a line "free"
// there it gives back what memory it can to the system and then answers "freed".
func Main(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	name := flags.String("server", "baro-inline", "the server")
	listen := flags.String("listen", "127.0.0.1:0", "the address to listen on")
	var o Options
	flags.StringVar((*string)(&o.Role), "role", string(Echo), "echo, fanout, deflate, socketio, socketio-room or channels")
	flags.BoolVar(&o.Takeover, "takeover", false, "deflate with context takeover")
	flags.IntVar(&o.InFlight, "inflight", 4096, "`bytes` that a peer sends at once")
	program := flags.String("program", "", "the `file` of a server for channels, if it is another than the one that is found")
	heartbeat := flags.Int("heartbeat", 25000, "Socket.IO's pingInterval in `milliseconds`")
	flags.StringVar(&o.Broker, "broker", "", "the `URL` of the Redis or NATS that joins the server with others")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.Heartbeat = time.Duration(*heartbeat) * time.Millisecond
	s, err := Find(*name)
	if err != nil {
		return err
	}
	isSocketIO := o.Role == SocketIO || o.Role == SocketIORoom
	if o.Role == Deflate && s.Deflate == None || isSocketIO != s.SocketIO || (o.Role == Channels) != (s.Program != nil) {
		return fmt.Errorf("%s: no role %s", s.Name, o.Role)
	}
	if s.Broker != "" && o.Broker == "" {
		return pair(s, args)
	}
	if s.Command != nil {
		return replace(s, args)
	}
	if s.Program != nil {
		if *program == "" {
			if *program, err = s.Program.Find(); err != nil {
				return err
			}
		}
		return supervise(func(port int) *exec.Cmd { return s.Program.Command(*program, port, o.Broker) })
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Printf("listening %v\n", l.Addr())
	go control()
	return fmt.Errorf("%s: %w", s.Name, s.Serve(l, o))
}

// replace makes the server's program of this process.
func replace(s Server, args []string) error {
	command, err := s.Command()
	if err != nil {
		return err
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(program, append(command, args...), os.Environ())
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
