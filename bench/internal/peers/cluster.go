//go:build linux

package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// pair starts a broker and two of a server that are joined by it, and says of the second what it says: where it listens, and which process
// it is. The address of the first, where to publish, is behind that. Standard input and output go on to the second.
func pair(s Server, args []string) error {
	runtime.LockOSThread() // the signal comes to a child when the thread ends that has started it
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	url, ended, err := startBroker(s.Broker, dir)
	if err != nil {
		return err
	}
	var addresses [2]string
	var second *bufio.Reader
	var input io.WriteCloser
	for i := range addresses {
		c := exec.Command("/proc/self/exe", slices.Concat([]string{"serve"}, args, []string{"-broker", url})...)
		c.Stderr = os.Stderr
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if input, err = c.StdinPipe(); err != nil {
			return err
		}
		stdout, err := c.StdoutPipe()
		if err != nil {
			return err
		}
		if err := c.Start(); err != nil {
			return err
		}
		go func() { ended <- c.Wait() }()
		second = bufio.NewReader(stdout)
		line, err := second.ReadString('\n')
		where, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
		if err != nil || !ok {
			return fmt.Errorf("%s said %q and not where it listens", s.Name, line)
		}
		address, process, _ := strings.Cut(where, " ")
		if process == "" {
			process = strconv.Itoa(c.Process.Pid)
		}
		addresses[i] = address + " " + process
	}
	first, _, _ := strings.Cut(addresses[0], " ")
	fmt.Printf("listening %s %s\n", addresses[1], first)
	go func() { _, _ = io.Copy(os.Stdout, second) }()
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(input, os.Stdin)
		close(done)
	}()
	select {
	case <-done:
		return nil
	case err := <-ended:
		return fmt.Errorf("a process of the cluster has ended: %w", errors.Join(errors.New("on its own"), err))
	}
}

// FindBroker says whether the program of a kind of broker is there.
func FindBroker(kind string) error {
	_, err := exec.LookPath(kind + "-server")
	return err
}

// startBroker starts a Redis or a NATS that keeps nothing beyond a directory, and returns its URL.
func startBroker(kind, dir string) (url string, ended chan error, err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	c := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--loglevel", "warning")
	if kind == "nats" {
		c = exec.Command("nats-server", "--addr", "127.0.0.1", "--port", strconv.Itoa(port), "--jetstream", "--store_dir", dir, "--log", dir+"/log")
	}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return "", nil, err
	}
	ended = make(chan error, 3)
	go func() { ended <- c.Wait() }()
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return kind + "://" + address, ended, untilAccepts(address, ended)
}
