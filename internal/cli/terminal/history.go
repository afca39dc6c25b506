package terminal

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"unicode/utf8"
)

const (
	maxEntries    = 1000
	maxEntry      = 8 << 10 // bytes; what is longer is kept for the session alone
	maxHistory    = 2 << 20 // bytes of the file that are read
	historyFolder = "baro"
)

// A History remembers what was typed, in a file from one session to the next, one quoted entry a line. The zero value
// remembers for one session. It is used by one goroutine at a time, or by an Editor.
type History struct {
	path    string
	entries []string
}

// HistoryPath is where the history of a command is kept: in $XDG_STATE_HOME or ~/.local/state, on macOS in
// ~/Library/Application Support, on Windows in %LocalAppData%.
func HistoryPath(name string) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		switch runtime.GOOS {
		case "windows":
			cache, err := os.UserCacheDir() // %LocalAppData%, which roams nowhere
			if err != nil {
				return "", err
			}
			state = cache
		case "darwin":
			config, err := os.UserConfigDir()
			if err != nil {
				return "", err
			}
			state = config
		default:
			home, err := os.UserHomeDir()
			if err != nil {
				return "", err
			}
			state = filepath.Join(home, ".local", "state")
		}
	}
	return filepath.Join(state, historyFolder, name), nil
}

// OpenHistory reads the history kept in a file, which need not exist. It keeps the newest thousand entries. With an error,
// the History remembers for one session.
func OpenHistory(path string) (*History, error) {
	h := new(History)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return h, err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		h.path = path
		return h, nil
	case err != nil:
		return h, err
	case !info.Mode().IsRegular():
		return h, &os.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o600); err != nil {
			return h, err
		}
	}
	lines, err := h.load(path, info.Size())
	if err != nil {
		return h, err
	}
	h.path = path
	if lines > 2*maxEntries || info.Size() > maxHistory/2 {
		return h, h.rewrite()
	}
	return h, nil
}

// load reads the end of the file and gives the number of lines there; what is no entry is passed over.
func (h *History) load(path string, size int64) (lines int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.Seek(max(0, size-maxHistory), io.SeekStart); err != nil {
		return 0, err
	}
	scanner := bufio.NewScanner(io.LimitReader(f, maxHistory))
	scanner.Buffer(nil, maxHistory+1)
	for scanner.Scan() {
		lines++
		if s, err := strconv.Unquote(scanner.Text()); err == nil && utf8.ValidString(s) {
			h.remember(s)
		}
	}
	return lines, scanner.Err()
}

// rewrite makes the file anew, of what is remembered.
func (h *History) rewrite() error {
	var b bytes.Buffer
	for _, s := range h.entries {
		b.WriteString(strconv.Quote(s) + "\n")
	}
	f, err := os.CreateTemp(filepath.Dir(h.path), filepath.Base(h.path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (h *History) remember(s string) {
	if n := len(h.entries); n > 0 && h.entries[n-1] == s {
		return
	}
	if len(h.entries) >= maxEntries {
		h.entries = slices.Delete(h.entries, 0, len(h.entries)-maxEntries+1)
	}
	h.entries = append(h.entries, s)
}

// Add remembers what was typed, unless it is what was typed last, empty, or begins with a space: that is for what shall not
// be remembered. After an error the History goes on for the session.
func (h *History) Add(s string) error {
	if s == "" || s[0] == ' ' || h.Len() > 0 && h.At(h.Len()-1) == s {
		return nil
	}
	h.remember(s)
	if h.path == "" || len(s) > maxEntry {
		return nil
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(strconv.Quote(s) + "\n") // one write: sessions at the same time append whole lines
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		h.path = ""
	}
	return err
}

// Len gives the number of entries, At one of them: 0 is the oldest.
func (h *History) Len() int { return len(h.entries) }

// At gives an entry.
func (h *History) At(i int) string { return h.entries[i] }
