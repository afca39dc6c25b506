// Package systemd is the service's side of systemd: it says how the service is (sd_notify(3)), and takes the sockets that it was started
// with (sd_listen_fds(3)). Without systemd nothing is said, and there are none.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Notifier tells the service manager how the service is. Its methods may be called concurrently, by nil as well, which tells nobody.
type Notifier struct {
	address  string
	watchdog time.Duration
}

// NewNotifier takes from the environment, by lookup, which is [os.LookupEnv], whom to tell. It is nil if nobody wants to be told.
func NewNotifier(lookup func(string) (string, bool)) *Notifier {
	address, _ := lookup("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	n := &Notifier{address: address}
	usec, _ := lookup("WATCHDOG_USEC")
	pid, meant := lookup("WATCHDOG_PID")
	if v, err := strconv.ParseInt(usec, 10, 64); err == nil && v > 0 && v < int64(time.Hour*24*365/time.Microsecond) && (!meant || pid == strconv.Itoa(os.Getpid())) {
		n.watchdog = time.Duration(v) * time.Microsecond
	}
	return n
}

// Watchdog is within what time [Notifier.Alive] must be called again and again, or the service is taken for dead. 0: it need not.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Ready says that the service has begun, or has its new configuration.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", "STATUS="+status) }

// Reloading says that the service takes a new configuration, until it is ready again.
func (n *Notifier) Reloading() error {
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(monotonic(), 10))
}

// Stopping says that the service ends, within the time given, whatever the manager would have allowed.
func (n *Notifier) Stopping(within time.Duration) error {
	return n.send("STOPPING=1", "STATUS=Stopping", "EXTEND_TIMEOUT_USEC="+strconv.FormatInt(within.Microseconds(), 10))
}

// Alive says that the service is not stuck.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1") }

// send sends one datagram. A value has no line breaks: they would begin another one.
func (n *Notifier) send(assignments ...string) error {
	if n == nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("the service manager: %w", err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	for i, a := range assignments {
		assignments[i] = strings.ReplaceAll(a, "\n", " ")
	}
	if _, err := c.Write([]byte(strings.Join(assignments, "\n"))); err != nil {
		return fmt.Errorf("the service manager: %w", err)
	}
	return nil
}
