package diskstore_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"baro.dev/channel"
	"baro.dev/channel/diskstore"
)

func TestBusy(t *testing.T) {
	s := open(t, t.TempDir(), &diskstore.Options{MaxQueueBytes: 100_000})
	stalled, release := make(chan struct{}), make(chan struct{})
	s.Save("other", message("E", 1, "x"), all, func(error) {
		close(stalled)
		<-release
	})
	<-stalled

	var told []error
	end := make(chan struct{})
	const n = 50
	for offset := uint64(1); offset <= n; offset++ {
		// The last is small: it would fit again.
		size := 4000
		if offset == n {
			size = 10
		}
		s.Save("c", message("E", offset, body("c", offset, size)), all, func(err error) {
			told = append(told, err)
			if len(told) == n {
				close(end)
			}
		})
	}
	close(release)
	<-end
	failed := 0
	for failed < n && told[failed] == nil {
		failed++
	}
	if failed == 0 || failed > 25 {
		t.Fatalf("%d messages of 4000 bytes were saved where 100,000 bytes may wait", failed)
	}
	for i, err := range told[failed:] {
		if !errors.Is(err, diskstore.ErrBusy) {
			t.Errorf("message %d, after one that failed: %v", failed+i+1, err)
		}
	}
	check(t, s, "c", "E", 1, uint64(failed), 4000)
	fill(t, s, "c", "E", uint64(failed+1), uint64(failed+3), 4000, all)
	check(t, s, "c", "E", 1, uint64(failed+3), 4000)
}

// A hub that starts again from within done is not taken for one that goes on behind a gap.
func TestSaveAgainAfterFailure(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	stalled, release := make(chan struct{}), make(chan struct{})
	s.Save("other", message("E", 1, "x"), all, func(error) {
		close(stalled)
		<-release
	})
	<-stalled
	fill := func(offset uint64, size int, done func(error)) {
		m := message("E", offset, body("c", offset, size))
		s.Save("c", m, all, done)
	}
	again := make(chan error, 2)
	follower := make(chan error, 1)
	fill(1, 65<<20, func(err error) {
		if !errors.Is(err, diskstore.ErrTooLarge) {
			t.Errorf("a message of 65 MiB: %v", err)
		}
		go func() {
			fill(1, 10, func(err error) { again <- err })
			fill(2, 10, func(err error) { again <- err })
		}()
	})
	fill(2, 10, func(err error) { follower <- err })
	close(release)
	if err := <-follower; !errors.Is(err, diskstore.ErrTooLarge) {
		t.Errorf("the message after it: %v", err)
	}
	for range 2 {
		if err := <-again; err != nil {
			t.Error(err)
		}
	}
	check(t, s, "c", "E", 1, 2, 10)
}

func TestRefused(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	for _, name := range []string{"", "a\x00b", strings.Repeat("x", 256)} {
		if err := save(s, name, message("E", 1, "x"), all); !errors.Is(err, channel.ErrInvalid) {
			t.Errorf("channel %q: %v", name, err)
		}
	}
	if err := save(s, "c", message("E", 0, "x"), all); !errors.Is(err, channel.ErrInvalid) {
		t.Errorf("offset 0: %v", err)
	}
}

// diskFull fills a disk, sees that publishers are told and readers served, and goes on when there is room again.
func diskFull(t *testing.T, dir string, makeRoom func()) {
	log, text := logged()
	s := open(t, dir, &diskstore.Options{Logger: log})
	fill(t, s, "quiet", "Q", 1, 10, 100, all)
	last := uint64(0)
	var err error
	for last < 10_000 && err == nil {
		if err = save(s, "c", message("E", last+1, body("c", last+1, 10_000)), all); err == nil {
			last++
		}
	}
	if err == nil {
		t.Fatal("the disk is never full")
	}
	t.Logf("after %d messages: %v", last, err)
	if !strings.Contains(text.String(), err.Error()) {
		t.Errorf("the log says %q", text)
	}
	for range 3 {
		check(t, s, "quiet", "Q", 1, 10, 100)
		check(t, s, "c", "E", 1, last, 10_000)
		var told []error
		end := make(chan struct{})
		for i := range uint64(20) {
			s.Save("c", message("E", last+1+i, body("c", last+1+i, 100_000)), all, func(err error) {
				if told = append(told, err); len(told) == 20 {
					close(end)
				}
			})
		}
		<-end
		for i, err := range told {
			if err == nil {
				t.Fatalf("message %d was saved", i)
			}
		}
	}

	makeRoom()
	fill(t, s, "c", "E", last+1, last+20, 10_000, all)
	check(t, s, "c", "E", 1, last+20, 10_000)
	check(t, s, "quiet", "Q", 1, 10, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := text.String()
	s = open(t, dir, &diskstore.Options{Logger: log})
	check(t, s, "c", "E", 1, last+20, 10_000)
	check(t, s, "quiet", "Q", 1, 10, 100)
	if text.String() != before {
		t.Errorf("opened again: %s", text)
	}
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("nothing can be mounted here: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	diskFull(t, filepath.Join(dir, "data"), func() { os.Remove(ballast) })
}
