//go:build !socketioclient

package bundle

import "io/fs"

// Files returns socket.io.js and its variants, with their source maps, for socketio.Options.ClientFiles. It is nil in a
// program that was built without the tag socketioclient.
func Files() fs.FS { return nil }
