package bridge

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// Bounds of a file of secrets.
const (
	maxSecretsFile = 16 << 20
	maxSecrets     = 100_000
	maxSecret      = 4096
)

// secrets is a file with a secret in each line, and what it stands for. It is read again when it has changed; what is wrong then is logged
// once, and what was read before stays in use. When it is gone there are no secrets.
//
// Secrets are found by a keyed hash, so that the time it takes says nothing of how much of a guess is right.
type secrets[V any] struct {
	file  string
	parse func(line string) (secret string, v V, err error)
	log   *slog.Logger

	mu     sync.Mutex
	key    [sha256.Size]byte
	values map[[sha256.Size]byte]V
	seen   os.FileInfo // of what values was read from; nil: there was no file
	read   time.Time
}

// openSecrets reads the file; what is wrong with it is an error now.
func openSecrets[V any](file string, log *slog.Logger, parse func(string) (string, V, error)) (*secrets[V], error) {
	s := &secrets[V]{file: file, parse: parse, log: log}
	if _, err := rand.Read(s.key[:]); err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err == nil {
		err = s.load(info)
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o004 != 0 {
		log.Warn("everybody on this machine can read the secrets: chmod 600", "file", file)
	}
	return s, nil
}

// find returns what a secret stands for.
func (s *secrets[V]) find(secret string) (v V, ok bool) {
	if len(secret) == 0 || len(secret) > maxSecret {
		return v, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh()
	v, ok = s.values[s.hash(secret)]
	return v, ok
}

func (s *secrets[V]) hash(secret string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, s.key[:])
	h.Write([]byte(secret))
	h.Sum(sum[:0])
	return sum
}

// settled is the age from which a file's time of change tells it from a later state: file systems count in steps of up to 2 s.
const settled = 2 * time.Second

func (s *secrets[V]) refresh() {
	info, err := os.Stat(s.file)
	if errors.Is(err, os.ErrNotExist) {
		if s.seen != nil {
			s.log.Error("the file of secrets is gone: nobody is let in", "file", s.file)
		}
		s.seen, s.values = nil, nil
		return
	}
	if err != nil {
		s.log.Error("the file of secrets cannot be looked at", "file", s.file, "error", err)
		return
	}
	same := s.seen != nil && os.SameFile(info, s.seen) && info.ModTime().Equal(s.seen.ModTime()) && info.Size() == s.seen.Size()
	if same && s.read.Sub(info.ModTime()) > settled {
		return
	}
	if err := s.load(info); err != nil && !same {
		s.log.Error("the file of secrets is not taken: what it said before holds", "file", s.file, "error", err)
	}
}

// load reads the file. Whatever comes of it, it is not read again before it changes.
func (s *secrets[V]) load(info os.FileInfo) error {
	s.seen, s.read = info, time.Now()
	if !info.Mode().IsRegular() || info.Size() > maxSecretsFile {
		return fmt.Errorf("%s is no file, or has more than %d bytes", s.file, maxSecretsFile)
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	values := map[[sha256.Size]byte]V{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		secret, v, err := s.parse(line)
		sum := s.hash(secret)
		switch _, twice := values[sum]; {
		case err != nil:
		case secret == "" || len(secret) > maxSecret:
			err = fmt.Errorf("a secret has 1 to %d bytes", maxSecret)
		case twice:
			err = errors.New("it is there twice")
		case len(values) == maxSecrets:
			err = fmt.Errorf("there are more than %d", maxSecrets)
		}
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", s.file, n, err) // without the line, which is secret
		}
		values[sum] = v
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	s.values = values
	return nil
}

// targetLine reads "token: host:port", as the files of websockify have it, and "token: unix:///path".
func targetLine(line string) (token string, to Endpoint, err error) {
	token, rest, ok := strings.Cut(line, ": ")
	if !ok {
		return "", to, errors.New("it must be TOKEN: HOST:PORT")
	}
	rest = strings.TrimSpace(rest)
	if path, ok := strings.CutPrefix(rest, "unix_socket:"); ok {
		rest = "unix://" + path
	}
	if !strings.Contains(rest, "://") {
		rest = "tcp://" + rest
	}
	to, err = ParseEndpoint(rest)
	if err != nil || to.Kind != TCP && to.Kind != Unix {
		return "", to, errors.New("what is behind the token must be HOST:PORT or unix:///PATH")
	}
	return strings.TrimSpace(token), to, nil
}

// userLine reads "name:password". The secret is the whole of it, and it stands for the name.
func userLine(line string) (secret, name string, err error) {
	name, password, ok := strings.Cut(line, ":")
	if !ok || name == "" || password == "" {
		return "", "", errors.New("it must be NAME:PASSWORD")
	}
	return line, name, nil
}

// bearerLine reads a token.
func bearerLine(line string) (secret, name string, err error) {
	if strings.ContainsAny(line, " \t") {
		return "", "", errors.New("a token has no spaces")
	}
	return line, "", nil
}
