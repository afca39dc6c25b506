package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// component is something that is part of the program.
type component struct {
	name, version string
	purl          string // a package URL, which names it everywhere
	algorithm     string // of hash
	hash          string // in hexadecimal; of a Go module as in go.sum; "" if there is none
	licences      []string
	texts         []entry
}

// components are the standard library, the modules that are linked, and what is embedded of npm.
func (r *release) components(info *buildinfo.BuildInfo) ([]component, error) {
	parts, err := r.modules(info.Deps)
	if err != nil {
		return nil, err
	}
	root, err := r.run(os.Environ(), "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	version := strings.TrimPrefix(info.GoVersion, "go")
	library := component{name: "std", version: version, purl: "pkg:golang/std@" + version, licences: []string{"BSD-3-Clause"}}
	text, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		return nil, fmt.Errorf("the licence of Go: %w", err)
	}
	library.texts = []entry{{name: "LICENSE", content: text}}
	parts = append(parts, library)
	if r.bundle != "" {
		embedded, err := r.embedded()
		if err != nil {
			return nil, err
		}
		parts = append(parts, embedded...)
	}
	slices.SortFunc(parts, func(a, b component) int { return strings.Compare(a.purl, b.purl) })
	return parts, nil
}

func (r *release) modules(linked []*debug.Module) ([]component, error) {
	var parts []component
	for _, m := range linked {
		if m.Replace != nil {
			return nil, fmt.Errorf("%s is replaced: nobody else has what it is replaced by", m.Path)
		}
		dir, err := r.run(os.Environ(), "go", "list", "-m", "-f={{.Dir}}", m.Path)
		if err != nil {
			return nil, err
		}
		c := component{name: m.Path, version: m.Version, purl: "pkg:golang/" + m.Path + "@" + m.Version}
		if sum, ok := strings.CutPrefix(m.Sum, "h1:"); ok {
			if err := c.setHash("SHA-256", sum); err != nil {
				return nil, err
			}
		}
		if err := c.readLicences(dir); err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	return parts, nil
}

// embedded are the packages of npm that the bundle was made of.
func (r *release) embedded() ([]component, error) {
	text, err := os.ReadFile(filepath.Join(r.dir, r.bundle, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity, License string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return nil, err
	}
	var parts []component
	for path, p := range lock.Packages {
		_, name, ok := strings.Cut(path, "node_modules/")
		if !ok {
			continue // the bundle itself
		}
		c := component{name: name, version: p.Version, purl: "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + p.Version}
		if sum, ok := strings.CutPrefix(p.Integrity, "sha512-"); ok {
			if err := c.setHash("SHA-512", sum); err != nil {
				return nil, err
			}
		}
		if err := c.readLicences(filepath.Join(r.dir, r.bundle, path)); err != nil {
			return nil, fmt.Errorf("%w (make client fetches it)", err)
		}
		parts = append(parts, c)
	}
	return parts, nil
}

func (c *component) setHash(algorithm, encoded string) error {
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("the checksum of %s: %w", c.name, err)
	}
	c.algorithm, c.hash = algorithm, hex.EncodeToString(sum)
	return nil
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents|unlicense)([.-].*)?$`)

// readLicences collects the licences of what is in a directory, and says which they are.
func (c *component) readLicences(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules") && path != dir:
			return fs.SkipDir
		case d.IsDir() || !licenceFile.MatchString(d.Name()) || strings.HasSuffix(d.Name(), ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		c.texts = append(c.texts, entry{name: filepath.ToSlash(name), content: text})
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range c.texts {
		for _, id := range identify(string(t.content)) {
			if !slices.Contains(c.licences, id) {
				c.licences = append(c.licences, id)
			}
		}
	}
	slices.Sort(c.licences)
	if len(c.licences) == 0 {
		return fmt.Errorf("%s has no licence that is known here", c.name)
	}
	return nil
}

// identify names the licences that a text has, by the words that each of them has and no other, as SPDX does.
func identify(text string) []string {
	text = strings.Join(strings.Fields(text), " ")
	var ids []string
	if strings.Contains(text, "Permission is hereby granted, free of charge") {
		ids = append(ids, "MIT")
	}
	if strings.Contains(text, "Apache License") {
		ids = append(ids, "Apache-2.0")
	}
	if strings.Contains(text, "CC0 1.0 Universal") {
		ids = append(ids, "CC0-1.0")
	}
	if strings.Contains(text, "Mozilla Public License") {
		ids = append(ids, "MPL-2.0")
	}
	if strings.Contains(text, "Permission to use, copy, modify, and") {
		ids = append(ids, "ISC")
	}
	if strings.Contains(text, "Redistribution and use in source and binary forms") {
		if strings.Contains(text, "endorse or promote products") {
			ids = append(ids, "BSD-3-Clause")
		} else {
			ids = append(ids, "BSD-2-Clause")
		}
	}
	return ids
}

// licences is the text of all, for whoever passes the program on.
func licences(parts []component) []byte {
	var b strings.Builder
	b.WriteString("This program has parts of others, under these licences.\n")
	for _, c := range parts {
		fmt.Fprintf(&b, "\n%s\n%s %s: %s\n", strings.Repeat("=", 80), c.name, c.version, strings.Join(c.licences, ", "))
		for _, t := range c.texts {
			fmt.Fprintf(&b, "%s\n%s\n\n%s\n", strings.Repeat("-", 80), t.name, strings.TrimSpace(strings.ReplaceAll(string(t.content), "\r\n", "\n")))
		}
	}
	return []byte(b.String())
}
