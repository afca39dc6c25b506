package channels

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"baro.dev/channel"
)

// saveInterval is how often positions are written while messages come: who is killed gets those of that time again.
const saveInterval = 200 * time.Millisecond

// maxPositions is how long a file of positions may be, in bytes.
const maxPositions = 16 << 20

// positions is a file that says up to where each channel has been dealt with: {"news":"4QJK…:17"}. It is replaced as a whole, so that it is
// never found half written.
type positions struct {
	name string

	mu    sync.Mutex
	all   map[string]string
	dirty bool
}

// loadPositions reads the file; one that is not there is empty.
func loadPositions(name string) (*positions, error) {
	p := &positions{name: name, all: map[string]string{}}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPositions+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxPositions {
		return nil, fmt.Errorf("%s has more than %d MiB: that are no positions", name, maxPositions>>20)
	}
	if err := json.Unmarshal(text, &p.all); err != nil || p.all == nil {
		return nil, fmt.Errorf(`%s does not have positions, {"CHANNEL":"EPOCH:OFFSET"}: %w`, name, errors.Join(err))
	}
	for c, at := range p.all {
		if got, err := channel.ParsePosition(at); err != nil || got.Epoch == "" {
			return nil, fmt.Errorf("%s: the position %q of %q is not EPOCH:OFFSET", name, at, c)
		}
	}
	return p, nil
}

// after is where a channel goes on; "" if it is not known.
func (p *positions) after(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[name]
}

// reached notes a position.
func (p *positions) reached(name string, at channel.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[name] = at.String()
	p.dirty = true
}

// save writes the file, if there is anything new.
func (p *positions) save() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dirty {
		return nil
	}
	text, err := json.Marshal(p.all)
	if err != nil {
		return err
	}
	if err := replaceFile(p.name, append(text, '\n')); err != nil {
		return fmt.Errorf("the positions: %w", err)
	}
	p.dirty = false
	return nil
}

// replaceFile writes a file beside another, and puts it in its place when it is whole.
func replaceFile(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
