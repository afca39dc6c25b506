package listen

import (
	"io/fs"
	"net/http"
	"os"
	"strings"
)

// newFiles serves the files below a directory. What begins with a dot is not there, nor is what a symbolic link, or a path, leads out to
// (os.Root), nor what is neither a file nor a directory.
func newFiles(root *os.Root) http.Handler {
	files := http.FileServerFS(visible{root.FS()})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "files can only be read", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		files.ServeHTTP(w, r)
	})
}

// visible are files that may be served.
type visible struct{ fs.FS }

func (v visible) Open(name string) (fs.File, error) {
	for part := range strings.SplitSeq(name, "/") {
		if hidden(part) && name != "." {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	info, err := fs.Stat(v.FS, name) // before it is opened: a pipe would wait for who writes into it
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist} // a link that leads out, too: it is nobody's business
	}
	if !servable(info.Mode()) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := v.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if d, ok := f.(fs.ReadDirFile); ok && info.IsDir() {
		return directory{d}, nil
	}
	return f, nil
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

func servable(mode fs.FileMode) bool { return mode.IsRegular() || mode.IsDir() }

// directory lists what may be served.
type directory struct{ fs.ReadDirFile }

func (d directory) ReadDir(n int) ([]fs.DirEntry, error) {
	all, err := d.ReadDirFile.ReadDir(n)
	shown := all[:0]
	for _, e := range all {
		if !hidden(e.Name()) && (servable(e.Type()) || e.Type() == fs.ModeSymlink) {
			shown = append(shown, e)
		}
	}
	return shown, err
}
