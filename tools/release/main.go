// Command release builds what a release is: for each system an archive of the command with its licences and completions, a list of
// what is linked into it (CycloneDX), and the checksums of all.
//
// Whoever builds the same commit with the same version of Go gets the same bytes, wherever and whenever: paths are left out, times
// are the commit's, the order is fixed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

// targets are the systems a release is for.
const targets = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

func main() {
	r := release{
		name: "baro", pkg: "./cmd/baro", tags: "socketioclient", bundle: "socketio/bundle",
		files: []string{"LICENSE", "README.md", "CHANGELOG.md", "deploy/systemd/baro.service", "deploy/systemd/baro.socket", "deploy/systemd/baro.yml"},
	}
	flag.StringVar(&r.dir, "dir", ".", "`directory` of the module")
	flag.StringVar(&r.out, "out", "dist", "`directory` for what is built; what it has is left")
	flag.BoolVar(&r.dirty, "dirty", false, "build what is not committed, too: nobody else can build the same")
	list := flag.String("targets", targets, "`systems` to build for")
	flag.Parse()
	var err error
	if r.targets, err = parseTargets(*list); err == nil {
		err = r.build()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// target is a system, in the Go command's words.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "-" + t.arch }

func parseTargets(list string) ([]target, error) {
	var all []target
	for item := range strings.SplitSeq(list, ",") {
		system, arch, ok := strings.Cut(item, "/")
		if !ok || system == "" || arch == "" {
			return nil, fmt.Errorf("%q is no system: it must be as linux/amd64", item)
		}
		all = append(all, target{system, arch})
	}
	if len(all) == 0 {
		return nil, errors.New("there are no systems")
	}
	return all, nil
}
