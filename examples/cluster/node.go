package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// node is a server of the cluster: a process, its directory and its addresses.
type node struct {
	name, url string
	log       string // file
	command   func() *exec.Cmd
	process   *exec.Cmd // nil: it does not run
}

// newNodes gives nodes that know of each other. On machines of their own the addresses would be different, and the ports the same.
func newNodes(baro, dir string, n int) ([]*node, error) {
	addresses, err := freeAddresses(2 * n)
	if err != nil {
		return nil, err
	}
	listen, peers := addresses[:n], addresses[n:]
	var nodes []*node
	for i := range n {
		name := fmt.Sprintf("node %d", i+1)
		data := filepath.Join(dir, fmt.Sprintf("data-%d", i+1))
		nodes = append(nodes, &node{name: name, url: "http://" + listen[i], log: data + ".log", command: func() *exec.Cmd {
			return exec.Command(baro, "serve", "--dev", // everybody may do everything
				"--cluster", "--cluster-peers", strings.Join(peers, ","), "--cluster-listen", peers[i],
				"--data", data, "--listen", listen[i], "--admin-listen", "", "--node-name", name)
		}})
	}
	return nodes, nil
}

// freeAddresses are on this machine, where nobody listens.
func freeAddresses(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

func (n *node) start() error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	n.process = n.command()
	n.process.Stdout, n.process.Stderr = log, log
	return n.process.Start()
}

// kill ends it without a word to anybody.
func (n *node) kill() {
	if n.process != nil {
		_ = n.process.Process.Kill()
		_ = n.process.Wait()
		n.process = nil
	}
}

// waitReady waits until the node is one of the cluster, and wants clients.
func (n *node) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if _, err := get(ctx, n.url+"/readyz"); err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			log, _ := os.ReadFile(n.log)
			return fmt.Errorf("%s is not ready: %w\n%s", n.name, ctx.Err(), log)
		}
	}
}

func get(ctx context.Context, url string) (string, error) { return do(ctx, http.MethodGet, url, "") }

func publish(ctx context.Context, url, channel, data string) error {
	_, err := do(ctx, http.MethodPost, url+"/c/"+channel, data)
	return err
}

// do gives the answer to a request, each over a connection of its own.
func do(ctx context.Context, method, url, body string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Close = true
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, response.Status, text)
	}
	return string(text), err
}
