package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is the part of a test2json event that is counted.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	FailedBuild string
}

// tally counts events. What a test says is held until the test ends, since most of it is never shown.
type tally struct {
	out      io.Writer
	packages map[string]*running
	builds   map[string]string // output of a build that has not been reported, by import path

	passed, failed, skipped int
}

// running is one package's tests while they run.
type running struct {
	output map[string]*strings.Builder // by test; "" is the package's own
	failed int
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, packages: map[string]*running{}, builds: map[string]string{}}
}

// line takes one line of input. One that is no event is shown as it is: it comes from the go command itself.
func (t *tally) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		t.print(string(line))
		return
	}
	switch e.Action {
	case "build-output":
		t.builds[e.ImportPath] += e.Output
	case "output":
		t.of(e.Package).write(e.Test, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e)
		} else {
			t.endTest(e)
		}
	}
}

func (t *tally) of(pkg string) *running {
	r := t.packages[pkg]
	if r == nil {
		r = &running{output: map[string]*strings.Builder{}}
		t.packages[pkg] = r
	}
	return r
}

func (t *tally) endTest(e event) {
	r := t.of(e.Package)
	output := r.take(e.Test)
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
		r.failed++
		t.print(output)
	case "skip":
		t.skipped++
		t.print(output)
	}
}

func (t *tally) endPackage(e event) {
	r := t.of(e.Package)
	own := r.take("")
	switch e.Action {
	case "pass":
		t.print(withPrefix(own, "ok"))
	case "fail":
		// A package can fail without a failed test: it did not build, or its process ended in the middle of a test.
		if r.failed == 0 {
			t.failed++
		}
		t.print(t.builds[e.FailedBuild])
		delete(t.builds, e.FailedBuild)
		t.printRest(r)
		t.print(own)
	}
	delete(t.packages, e.Package)
}

// close reports what never ended and prints the count. It reports whether tests ran and none failed.
func (t *tally) close() bool {
	for _, pkg := range slices.Sorted(maps.Keys(t.packages)) {
		t.failed++
		t.printRest(t.packages[pkg])
		t.print(fmt.Sprintf("FAIL\t%s [ended without a result]\n", pkg))
	}
	for _, path := range slices.Sorted(maps.Keys(t.builds)) {
		t.print(t.builds[path])
	}
	fmt.Fprintf(t.out, "\n%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	return t.failed == 0 && t.passed > 0
}

// printRest shows what r's tests said that never ended.
func (t *tally) printRest(r *running) {
	for _, test := range slices.Sorted(maps.Keys(r.output)) {
		t.print(r.take(test))
	}
}

func (t *tally) print(s string) {
	_, _ = io.WriteString(t.out, s) // standard output that is gone leaves nobody to tell
}

func (r *running) write(test, s string) {
	if strings.HasPrefix(s, "=== ") {
		return // RUN, PAUSE, CONT and NAME: progress only
	}
	b := r.output[test]
	if b == nil {
		b = &strings.Builder{}
		r.output[test] = b
	}
	b.WriteString(s)
}

// take returns what the test has said and forgets it.
func (r *running) take(test string) string {
	b := r.output[test]
	if b == nil {
		return ""
	}
	delete(r.output, test)
	return b.String()
}

// withPrefix returns the lines of s that start with prefix.
func withPrefix(s, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, prefix) {
			b.WriteString(line)
		}
	}
	return b.String()
}
