package brokers

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// natsReady asks whether the server greets.
func natsReady(addr string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "INFO ") {
		err = fmt.Errorf("no greeting of NATS: %q", line)
	}
	return err
}
