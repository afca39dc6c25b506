package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"baro.dev/internal/server"
	"baro.dev/internal/systemd"
)

// service is what the command is to the service manager that has started it, if one has.
type service struct {
	manager *systemd.Notifier // nil: there is none
	log     *slog.Logger
	status  string
}

// joinService gives the server the sockets that the command was started with.
func joinService(s *server.Server, log *slog.Logger) (*service, error) {
	handed, err := systemd.Sockets()
	if err != nil {
		return nil, err
	}
	sockets, err := assign(handed, log)
	if err != nil {
		return nil, err
	}
	s.Adopt(sockets)
	return &service{manager: systemd.NewNotifier(os.LookupEnv), log: log}, nil
}

// assign says which socket is for what: by its name, if that is admin, else by what it is.
func assign(handed []systemd.Socket, log *slog.Logger) (sockets server.Sockets, err error) {
	for _, h := range handed {
		tcp, isTCP := h.Listener.(*net.TCPListener)
		udp, isUDP := h.Packets.(*net.UDPConn)
		switch {
		case isTCP && h.Name == "admin" && sockets.Admin == nil:
			sockets.Admin = tcp
		case isTCP && h.Name != "admin" && sockets.TCP == nil:
			sockets.TCP = tcp
		case isUDP && sockets.UDP == nil:
			sockets.UDP = udp
		default:
			err = fmt.Errorf("the socket %q of the service manager: there can be one of TCP, one of UDP, and one of TCP called admin", h.Name)
		}
		log.Info("listening on a socket of the service manager", "name", h.Name, "address", h.Addr().String())
	}
	if err != nil {
		for _, h := range handed {
			h.Close()
		}
	}
	return sockets, err
}

// tell is for what the service manager is told: it does without, if it must.
func (s *service) tell(err error) {
	if err != nil {
		s.log.Warn("the service manager was not told", "error", err)
	}
}

// ready says that the service has begun, and from now on, until ctx is done, that it is not stuck: what alive asks must answer.
func (s *service) ready(ctx context.Context, status string, alive func()) {
	s.status = status
	s.tell(s.manager.Ready(status))
	within := s.manager.Watchdog()
	if within == 0 {
		return
	}
	go func() {
		tick := time.NewTicker(max(within/3, time.Millisecond))
		defer tick.Stop()
		for {
			alive()
			if err := s.manager.Alive(); err != nil {
				s.log.Warn("the service manager was not told", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// stopping says that the service ends. What it has is cut after the time given; a little more is for the end of that.
func (s *service) stopping(within time.Duration) { s.tell(s.manager.Stopping(within + 10*time.Second)) }

// reloading and reloaded say so before and after the configuration is read again.
func (s *service) reloading() { s.tell(s.manager.Reloading()) }
func (s *service) reloaded()  { s.tell(s.manager.Ready(s.status)) }
