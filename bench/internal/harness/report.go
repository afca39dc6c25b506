//go:build linux

package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"baro.dev/bench/internal/peers"
)

// Report is a run and where it ran.
type Report struct {
	Date    time.Time     `json:"date"`
	Machine Machine       `json:"machine"`
	Rounds  int           `json:"rounds"`
	Warmup  time.Duration `json:"warmup"`
	Each    time.Duration `json:"duration"`
	Samples []Sample      `json:"samples"`
}

// Machine is what figures depend on.
type Machine struct {
	CPU        string            `json:"cpu"`
	Cores      int               `json:"cores"`
	Kernel     string            `json:"kernel"`
	Congestion string            `json:"congestion_control"`
	Go         string            `json:"go"`
	Revision   string            `json:"revision,omitempty"` // of this repository
	Modules    map[string]string `json:"modules"`
}

// ThisMachine describes this one.
func ThisMachine() Machine {
	m := Machine{
		CPU: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version(), Modules: make(map[string]string),
		Kernel:     firstLine("/proc/sys/kernel/osrelease"),
		Congestion: firstLine("/proc/sys/net/ipv4/tcp_congestion_control"),
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return m
	}
	for _, d := range info.Deps {
		m.Modules[d.Path] = d.Version
	}
	maps.Copy(m.Modules, peers.Versions())
	delete(m.Modules, "baro.dev")
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			m.Revision = s.Value + m.Revision
		case s.Key == "vcs.modified" && s.Value == "true":
			m.Revision += " and changes"
		}
	}
	return m
}

func firstLine(file string) string {
	b, _ := os.ReadFile(file)
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// cells are those of the samples, in their order.
func (r *Report) cells() (cells []Cell) {
	seen := make(map[string]bool)
	for _, s := range r.Samples {
		if c, err := ParseCell(s.Cell); err == nil && !seen[s.Cell] {
			seen[s.Cell] = true
			cells = append(cells, c)
		}
	}
	return cells
}

// Text writes where it ran, and a table for each cell.
func (r *Report) Text(w io.Writer) {
	m := r.Machine
	fmt.Fprintf(w, "%s. %s, %d cores; Linux %s, %s; %s.", r.Date.Format("2 January 2006"), m.CPU, m.Cores, m.Kernel, m.Congestion, m.Go)
	seen := ""
	for _, s := range peers.All() {
		if version, ok := m.Modules[s.Module]; ok && s.Module != seen {
			fmt.Fprintf(w, " %s %s.", strings.TrimPrefix(s.Module, "github.com/"), version)
			seen = s.Module
		}
	}
	for _, name := range []string{"ws", "node"} { // what socket.io runs on
		if version, ok := m.Modules[name]; ok {
			fmt.Fprintf(w, " %s %s.", name, version)
		}
	}
	fmt.Fprintf(w, " %d rounds of %v.\n", r.Rounds, r.Each)
	for _, c := range r.cells() {
		Table(w, c, Summarize(c, r.Samples))
	}
}

// Write writes results.json, results.md and a plot for each group of cells into a directory.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	encoded, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	files := map[string][]byte{"results.json": append(encoded, '\n')}
	var text bytes.Buffer
	r.Text(&text)
	files["results.md"] = text.Bytes()
	for name, plot := range r.Plots() {
		files[name+".svg"] = plot
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Read reads the results.json of one run or several, whose samples are joined under the machine and date of the last.
func Read(files ...string) (*Report, error) {
	var all Report
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		samples := all.Samples
		all = Report{}
		if err := json.Unmarshal(b, &all); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all.Samples = append(samples, all.Samples...)
	}
	return &all, nil
}
