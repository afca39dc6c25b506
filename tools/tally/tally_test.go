package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	tests := []struct {
		name  string
		input string
		ok    bool
		want  string
	}{
		{
			name: "a passing test is counted and not shown",
			input: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
`,
			ok:   true,
			want: "ok  \tp\t0.1s\n\n1 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "a failed test is shown, and its package counts no second time",
			input: `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`,
			want: "    a_test.go:3: wrong\nFAIL\tp\t0.1s\n\n0 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a skipped test is shown with its reason",
			input: `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: no browser\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}
`,
			ok:   true,
			want: "    a_test.go:3: no browser\n\n1 passed, 0 failed, 1 skipped\n",
		},
		{
			name: "a package that does not build fails with the compiler's words",
			input: `{"ImportPath":"p","Action":"build-output","Output":"p.go:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
`,
			want: "p.go:1: syntax error\nFAIL\tp [build failed]\n\n0 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a process that dies in a test shows what the test had said",
			input: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`,
			want: "panic: boom\nFAIL\tp\t0.1s\n\n0 passed, 1 failed, 0 skipped\n",
		},
		{
			name:  "a run cut short is a failure",
			input: `{"Action":"run","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"output","Package":"p","Test":"TestA","Output":"hello\n"}`,
			want:  "hello\nFAIL\tp [ended without a result]\n\n0 passed, 1 failed, 0 skipped\n",
		},
		{
			name:  "what is no event is passed on, and no test at all is a failure",
			input: "go: no such module\n",
			want:  "go: no such module\n\n0 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "a package without tests is not mentioned",
			input: `{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}
`,
			ok:   true,
			want: "\n1 passed, 0 failed, 0 skipped\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			tally := newTally(&out)
			if err := tally.read(strings.NewReader(test.input)); err != nil {
				t.Fatal(err)
			}
			if ok := tally.close(); ok != test.ok {
				t.Errorf("close() = %v, want %v", ok, test.ok)
			}
			if out.String() != test.want {
				t.Errorf("printed %q\nwant    %q", out.String(), test.want)
			}
		})
	}
}
