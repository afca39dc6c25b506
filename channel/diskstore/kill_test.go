package diskstore_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/diskstore"
)

// childVariable has the test binary be a publisher, which is killed.
const childVariable = "BARO_DISKSTORE_PUBLISH"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := publish(dir, os.Getenv(childVariable+"_NOSYNC") != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// killed is the channels that the publisher publishes in, and what they keep.
var killed = map[string]channel.Keep{
	"all":   all,
	"ten":   {Count: 10, Bytes: 1 << 30, Age: time.Hour},
	"bytes": {Count: 1 << 20, Bytes: 50_000, Age: time.Hour},
	"old":   {Count: 1 << 20, Bytes: 1 << 30, Age: 200 * time.Millisecond},
	"large": {Count: 20, Bytes: 1 << 30, Age: time.Hour},
}

func sizeIn(name string) int {
	if name == "large" {
		return 20_000
	}
	return 60
}

// publish publishes in all channels as fast as it can, and writes every acknowledgement to the standard output. It ends
// by being killed, or where something is wrong.
func publish(dir string, noSync bool) error {
	s, err := diskstore.Open(dir, &diskstore.Options{NoSync: noSync, SweepEvery: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for name, keep := range killed {
		saved, err := s.Load(name, channel.Keep{})
		if err != nil {
			return err
		}
		if saved.Epoch == "" {
			saved.Epoch = fmt.Sprintf("E%d", time.Now().UnixNano())
		}
		go func() {
			window := make(chan struct{}, 200)
			for offset := saved.Offset + 1; ; offset++ {
				window <- struct{}{}
				s.Save(name, message(saved.Epoch, offset, body(name, offset, sizeIn(name))), keep, func(err error) {
					if err != nil {
						failed <- err
					}
					if _, err := fmt.Printf("%s %s %d\n", name, saved.Epoch, offset); err != nil {
						failed <- err
					}
					<-window
				})
			}
		}()
	}
	return <-failed
}

// What was acknowledged is there after a kill -9, in order and without gaps. A hundred times with
// BARO_DISKSTORE_KILLS=100.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 20
	if n := os.Getenv("BARO_DISKSTORE_KILLS"); n != "" {
		if _, err := fmt.Sscan(n, &kills); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	log, text := logged()
	acknowledged := make(map[string]channel.Position)
	total := 0
	for i := range kills {
		total += life(t, dir, i%2 == 1, acknowledged)

		s := open(t, dir, &diskstore.Options{Logger: log, SweepEvery: time.Hour})
		for name, keep := range killed {
			verify(t, s, name, keep, acknowledged[name])
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if text.String() != "" {
			t.Fatalf("kill %d: %s", i, text)
		}
	}
	if total == 0 {
		t.Fatal("nothing was acknowledged")
	}
	t.Logf("%d kills, %d messages acknowledged, %v", kills, total, acknowledged)
}

// life runs the publisher for 50 to 100 ms after its first acknowledgement, and kills it.
func life(t *testing.T, dir string, noSync bool, acknowledged map[string]channel.Position) (n int) {
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), childVariable+"="+dir)
	if noSync {
		c.Env = append(c.Env, childVariable+"_NOSYNC=1")
	}
	var complaint strings.Builder
	c.Stderr = &complaint
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if n++; n == 1 {
			time.AfterFunc(time.Duration(50+rand.IntN(50))*time.Millisecond, func() { c.Process.Kill() })
		}
		var name string
		var p channel.Position
		if _, err := fmt.Sscan(lines.Text(), &name, &p.Epoch, &p.Offset); err != nil {
			continue // the last line, cut off
		}
		if last := acknowledged[name]; last.Epoch == p.Epoch && p.Offset != last.Offset+1 && p.Offset <= last.Offset {
			t.Errorf("%s: %d was acknowledged after %d", name, p.Offset, last.Offset)
		}
		acknowledged[name] = p
	}
	c.Wait()
	if complaint.Len() > 0 {
		t.Fatal(complaint.String())
	}
	return n
}

func verify(t *testing.T, s *diskstore.Store, name string, keep channel.Keep, acknowledged channel.Position) {
	t.Helper()
	saved := load(t, s, name, channel.Keep{Count: 1 << 20, Bytes: 1 << 40})
	if name == "old" && saved.Epoch == "" {
		return // forgotten, as is right
	}
	if saved.Epoch != acknowledged.Epoch && name != "old" {
		t.Fatalf("%s: the epoch is %q, what was acknowledged %s", name, saved.Epoch, acknowledged)
	}
	if saved.Epoch == acknowledged.Epoch && saved.Offset < acknowledged.Offset {
		t.Fatalf("%s: it ends at %d, what was acknowledged at %d", name, saved.Offset, acknowledged.Offset)
	}
	if len(saved.Recent) != saved.Count || saved.Count > keep.Count || saved.Bytes > keep.Bytes {
		t.Fatalf("%s: %d messages of %d, %d bytes", name, len(saved.Recent), saved.Count, saved.Bytes)
	}
	want := min(saved.Offset, uint64(keep.Count))
	if (name == "all" || name == "ten" || name == "large") && uint64(saved.Count) != want {
		t.Fatalf("%s: %d messages are kept, of %d", name, saved.Count, saved.Offset)
	}
	for i, m := range saved.Recent {
		offset := saved.Offset - uint64(saved.Count-1-i)
		if m.Offset != offset || m.Epoch != saved.Epoch || string(m.Data) != body(name, offset, sizeIn(name)) {
			t.Fatalf("%s: message %d is %+v", name, offset, m)
		}
	}
}
