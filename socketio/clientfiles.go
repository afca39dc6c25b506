package socketio

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"baro.dev/engineio"
)

// clientFiles serves the client for browsers. A file is read, and compressed, when it is asked for first.
type clientFiles struct {
	fs    fs.FS
	mu    sync.Mutex
	ready map[string]*clientFile
}

type clientFile struct {
	plain, gzipped []byte
	tag            string
}

var clientNames = [...]string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"}

const noClientFiles = "The client for browsers is not part of this server: set Options.ClientFiles to the folder dist of the npm package socket.io-client, " +
	"or use <script src=\"https://cdn.socket.io/4.8.4/socket.io.min.js\"></script>.\n"

func (c *clientFiles) serve(w http.ResponseWriter, r *http.Request, name string, cors *engineio.CORS) {
	known := false
	for _, n := range clientNames {
		known = known || strings.TrimSuffix(name, ".map") == n
	}
	if !known {
		http.NotFound(w, r)
		return
	}
	if cors.Handle(w, r) {
		return
	}
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	f := c.open(name)
	if f == nil {
		http.Error(w, strings.TrimSuffix(noClientFiles, "\n"), http.StatusNotFound)
		return
	}
	h.Set("Cache-Control", "public, max-age=0")
	h.Set("Content-Type", "application/javascript; charset=utf-8")
	if strings.HasSuffix(name, ".map") {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	h.Set("ETag", f.tag)
	h.Add("Vary", "Accept-Encoding")
	body := f.plain
	if f.gzipped != nil && acceptsGzip(r.Header.Values("Accept-Encoding")) {
		body = f.gzipped
		h.Set("Content-Encoding", "gzip")
		r.Header.Del("Range") // of what, would differ
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// open returns a file, nil if there is none.
func (c *clientFiles) open(name string) *clientFile {
	if c.fs == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.ready[name]; f != nil {
		return f
	}
	plain, err := fs.ReadFile(c.fs, name)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(plain)
	f := &clientFile{plain: plain, tag: `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(plain)
	if z.Close() == nil && b.Len() < len(plain) {
		f.gzipped = b.Bytes()
	}
	if c.ready == nil {
		c.ready = map[string]*clientFile{}
	}
	c.ready[name] = f
	return f
}

// acceptsGzip reads Accept-Encoding (RFC 9110 12.5.3).
func acceptsGzip(values []string) bool {
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && coding != "*" {
			continue
		}
		q, weighted := strings.CutPrefix(strings.TrimSpace(params), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		return !weighted || err == nil && weight > 0
	}
	return false
}
