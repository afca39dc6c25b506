package embedded

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// nameOf is the name of the node whose directory it is. The cluster knows by it who has come back: it is made once, of what people call the
// node if they do, and kept there.
func nameOf(dir, called string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "node")
	text, err := os.ReadFile(file)
	if err == nil {
		name := strings.TrimSpace(string(text))
		if !words.MatchString(name) {
			return "", fmt.Errorf("%s has %.80q, which is no name of a node", file, name)
		}
		return name, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	name := "node-" + strings.ToLower(rand.Text()[:12])
	if called != "" {
		sum := sha256.Sum256([]byte(called))
		name = "node-" + hex.EncodeToString(sum[:8])
	}
	// Whole or not at all: a node whose name were cut would come back as another one.
	made, err := os.CreateTemp(dir, "node-*")
	if err != nil {
		return "", err
	}
	_, err = made.WriteString(name + "\n")
	if err == nil {
		err = made.Sync()
	}
	err = errors.Join(err, made.Close())
	if err == nil {
		err = os.Rename(made.Name(), file)
	}
	if err != nil {
		_ = os.Remove(made.Name())
		return "", err
	}
	return name, nil
}
