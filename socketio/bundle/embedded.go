//go:build socketioclient

package bundle

import (
	"embed"
	"io/fs"
)

//go:embed dist
var dist embed.FS

// Files returns socket.io.js and its variants, with their source maps, for socketio.Options.ClientFiles. It is nil in a
// program that was built without the tag socketioclient.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // dist is a valid path
	}
	return files
}
