//go:build unix

package audience_test

import (
	"bytes"
	"os"
	"testing"

	"baro.dev/internal/cli/audience"
	"baro.dev/internal/testkit"
)

func TestOnGone(t *testing.T) {
	testkit.NoLeaks(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	gone := make(chan struct{})
	stop := audience.OnGone(w, func() { close(gone) })
	defer stop()
	if _, err := w.WriteString("there is something to read"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
		t.Fatal("somebody reads")
	default:
	}
	r.Close()
	testkit.Within(t, "the end", gone)
}

func TestOthers(t *testing.T) {
	testkit.NoLeaks(t)
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, stop := range []func(){
		audience.OnGone(new(bytes.Buffer), func() { t.Error("a buffer has no reader") }),
		audience.OnGone(file, func() { t.Error("a file has no reader") }),
	} {
		stop()
		stop()
	}
}
