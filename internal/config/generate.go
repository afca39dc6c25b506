package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:generate go run ./generate

// Generated are the files, beneath a directory of documentation, that come from what the code says of the keys, each with what it
// should be. The page has what is generated between marks, <!-- generated: NAME --> and <!-- end -->.
func Generated(dir string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, page))
	if err != nil {
		return nil, err
	}
	whole := string(text)
	for name, part := range map[string]string{
		"example":   "```yaml\n" + Example() + "```",
		"reference": strings.TrimSuffix(Reference(), "\n"),
	} {
		begin := "<!-- generated: " + name + " -->\n"
		before, rest, ok := strings.Cut(whole, begin)
		_, after, ended := strings.Cut(rest, "\n<!-- end -->")
		if !ok || !ended {
			return nil, fmt.Errorf("%s has no %s", page, begin)
		}
		whole = before + begin + part + "\n<!-- end -->" + after
	}
	return map[string]string{page: whole, "baro.schema.json": string(Schema())}, nil
}

const page = "configuration.md"

// Generate writes the files of [Generated].
func Generate(dir string) error {
	files, err := Generated(dir)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
