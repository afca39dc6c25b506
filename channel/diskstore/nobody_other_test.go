//go:build !linux

package diskstore_test

import (
	"os"
	"testing"
)

func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("root may do everything")
	}
	do()
}
