package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // of which building may take most
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, &out, "", false); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{": hello from the third\n", "\nanswered at ", ": and missed nothing\n", `"offset":3`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, &out)
		}
	}
}
