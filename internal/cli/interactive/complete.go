package interactive

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"baro.dev/internal/cli/terminal"
)

// maxPaths is how many files of a directory completion looks at.
const maxPaths = 1000

// complete gives what may stand before the cursor: a command, or what it is called with.
func (s *session) complete(before string) (from int, all []terminal.Completion) {
	if !strings.HasPrefix(before, "/") || strings.HasPrefix(before, "//") {
		return 0, nil
	}
	name, argument, more := strings.Cut(before, " ")
	columns, _ := s.size()
	for _, c := range commands() {
		switch {
		case !more && strings.HasPrefix(c.name, name):
			help := c.arguments
			if columns >= 80 {
				help = fmt.Sprintf("%-16s  %s", c.arguments, c.help)
			}
			all = append(all, terminal.Completion{Text: c.name, Help: help})
		case more && c.name == name && c.complete != nil:
			at, all := c.complete(s, argument)
			return len(before) - len(argument) + at, all
		}
	}
	return 0, all
}

// among gives those of some texts that begin as what is there; each second one is the help of the one before.
func among(argument string, texts ...string) (all []terminal.Completion) {
	for i := 0; i < len(texts); i += 2 {
		if strings.HasPrefix(texts[i], argument) {
			all = append(all, terminal.Completion{Text: texts[i], Help: texts[i+1]})
		}
	}
	return all
}

func completeSwitch(_ *session, argument string) (int, []terminal.Completion) {
	return 0, among(argument, "on", "", "off", "")
}

func completeCode(_ *session, argument string) (int, []terminal.Completion) {
	return 0, among(argument, "1000", "normal", "1001", "going away", "1002", "protocol error", "1003", "unsupported data",
		"1007", "invalid data", "1008", "policy violation", "1009", "too big", "1011", "internal error", "3000", "of libraries", "4000", "of applications")
}

// completeEvent gives the names of events seen, the newest first. A name with a space is quoted.
func (s *session) completeEvent(argument string) (int, []terminal.Completion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var texts []string
	for _, name := range slices.Backward(s.events) {
		if len(name) > maxName {
			continue
		}
		if name == "" || strings.ContainsAny(name, " \t\n\"") {
			name = strconv.Quote(name)
		}
		texts = append(texts, name, "")
	}
	return 0, among(argument, texts...)
}

// completeFile gives files behind an @.
func completeFile(s *session, argument string) (int, []terminal.Completion) {
	name, ok := strings.CutPrefix(argument, "@")
	if !ok {
		return 0, nil
	}
	from, all := completePath(s, name)
	return from + 1, all
}

// completePath gives files and directories; the latter end with a slash.
func completePath(_ *session, argument string) (int, []terminal.Completion) {
	dir, base := filepath.Split(argument)
	at := dir
	if at == "" {
		at = "."
	}
	d, err := os.Open(at)
	if err != nil {
		return 0, nil
	}
	defer d.Close()
	entries, _ := d.ReadDir(maxPaths)
	var all []terminal.Completion
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || base == "" && strings.HasPrefix(name, ".") {
			continue
		}
		c := terminal.Completion{Text: name}
		if e.IsDir() {
			c = terminal.Completion{Text: name + string(filepath.Separator), Open: true}
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b terminal.Completion) int { return strings.Compare(a.Text, b.Text) })
	return len(dir), all
}
