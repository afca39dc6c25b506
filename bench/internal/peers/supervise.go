//go:build linux

package peers

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// supervise has a program that does not speak the command line of Main appear to do so: it says which process to look at,
// and ends that with its own standard input. The program cannot be told to give memory back.
func supervise(command func(port int) *exec.Cmd) error {
	// The signal comes when the thread ends that has started the program.
	runtime.LockOSThread()
	port, err := freePort()
	if err != nil {
		return err
	}
	c := command(port)
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	defer func() { _ = c.Process.Kill() }()
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if err := untilAccepts(address, ended); err != nil {
		return err
	}
	fmt.Printf("listening %s %d\n", address, c.Process.Pid)
	input := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(input)
	}()
	select {
	case <-input:
		return nil
	case err := <-ended:
		return fmt.Errorf("the program has ended: %w", errors.Join(errors.New("on its own"), err))
	}
}

// freePort is a port that nobody listens on at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// untilAccepts waits until something listens at an address.
func untilAccepts(address string, ended <-chan error) error {
	for {
		c, err := net.Dial("tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the program has ended: %w", errors.Join(errors.New("before it accepted connections"), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
