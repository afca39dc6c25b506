package bridge_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/testkit"
)

// postgres starts a PostgreSQL server, which does not run as root, and returns its address.
func postgres(t *testing.T) string {
	t.Helper()
	bin, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bin) == 0 {
		t.Fatal("needs Debian's postgresql")
	}
	dir, err := os.MkdirTemp("", "postgres") //nolint:usetesting // the user postgres has to reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("needs the user postgres, or not to be root")
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin[len(bin)-1], name), args...)
		c.Dir, c.SysProcAttr = dir, attr
		return c
	}
	data := filepath.Join(dir, "data")
	if out, err := command("initdb", "-D", data, "-U", "test", "-A", "trust", "-N").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	said := new(logs)
	c := command("postgres", "-D", data, "-h", "127.0.0.1", "-p", port, "-k", "", "-F")
	c.Stdout, c.Stderr, c.SysProcAttr = said, said, &syscall.SysProcAttr{Credential: attr.Credential}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGQUIT)
		_ = c.Wait()
		if t.Failed() {
			t.Log(said)
		}
	})
	for start := time.Now(); !strings.Contains(said.String(), "ready to accept connections"); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("PostgreSQL does not start:\n%s", said)
		}
	}
	return addr
}

// psql runs statements, and returns what they print.
func psql(t *testing.T, ctx context.Context, addr string, in io.Reader, statements ...string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	args := []string{"-h", host, "-p", port, "-U", "test", "-d", "postgres", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"}
	for _, s := range statements {
		args = append(args, "-c", s)
	}
	c := exec.CommandContext(ctx, "psql", args...)
	c.Stdin = in
	var problems strings.Builder
	c.Stderr = &problems
	out, err := c.Output()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, &problems)
	}
	return strings.TrimSpace(string(out))
}

// psql and PostgreSQL speak through two bridges: 50 MB in and out again by COPY, and nothing is lost or changed. A query that is cancelled,
// which takes a second connection, is cancelled.
func TestPostgreSQL(t *testing.T) {
	if os.Getenv("BARO_PROOF") != "1" {
		t.Skip("a long proof: BARO_PROOF=1")
	}
	server := postgres(t)
	addr := both(t, server, nil)
	if got := psql(t, t.Context(), addr, nil, "select 6 * 7"); got != "42" {
		t.Fatalf("%q", got)
	}
	file := filepath.Join(t.TempDir(), "rows")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	w := bufio.NewWriter(io.MultiWriter(f, sum))
	const rows = 600_000
	size := 0
	for i := range rows {
		n, err := fmt.Fprintf(w, "%d\t%x\t%s\n", i, sha256.Sum256(fmt.Append(nil, i)), "한글 Grüße")
		if err != nil {
			t.Fatal(err)
		}
		size += n
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	copied := func(addr, table string) time.Duration {
		began := time.Now()
		psql(t, t.Context(), addr, nil, "create table "+table+"(i int, hash text, words text)", `\copy `+table+" from '"+file+"'")
		back := filepath.Join(t.TempDir(), "back")
		psql(t, t.Context(), addr, nil, `\copy (select * from `+table+` order by i) to '`+back+"'")
		text, err := os.ReadFile(back)
		if err != nil || len(text) != size || sha256.Sum256(text) != [sha256.Size]byte(sum.Sum(nil)) {
			t.Errorf("%d bytes of %d have come back, or others; %v", len(text), size, err)
		}
		return time.Since(began)
	}
	t.Logf("%d MB there and back: %v by two bridges, %v without", size/1_000_000, copied(addr, "a"), copied(server, "b"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	host, port, _ := net.SplitHostPort(addr)
	c := exec.CommandContext(ctx, "psql", "-h", host, "-p", port, "-U", "test", "-d", "postgres", "-X", "-c", "select pg_sleep(600)")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	asleep := func() bool {
		return psql(t, t.Context(), server, nil, "select count(*) from pg_stat_activity where query like 'select pg_sleep(600)' and state = 'active'") == "1"
	}
	for start := time.Now(); !asleep(); {
		if time.Since(start) > testkit.Patience {
			t.Fatal("the query has not begun")
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	if err := testkit.Within(t, "the end of the query", ended); err == nil {
		t.Error("the query has ended well")
	}
	if asleep() {
		t.Error("the query goes on")
	}
}
